"""Make the same calls of Amazon Bedrock, one a case, whoever traces them."""

import json

import boto3
from botocore.config import Config
from session import STAND_IN, case

MODEL = "anthropic.claude-sonnet-4-5-20250929-v1:0"
TITAN = "amazon.titan-embed-text-v2:0"
ASK = [{"role": "user", "content": [{"text": "Say something short."}]}]
BODY = {
    "anthropic_version": "bedrock-2023-05-31",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "Say something short."}],
}


def client():
    """Return a client of the stand-in."""
    return boto3.client(
        "bedrock-runtime",
        endpoint_url=STAND_IN + "/bedrock",
        region_name="us-east-1",
        aws_access_key_id="none",
        aws_secret_access_key="none",
        config=Config(retries={"total_max_attempts": 1}),
    )


def bedrock_calls(bedrock, flush, *, embedding=True):
    """Make one call a case."""
    for name in ("bedrock-plain", "bedrock-cached"):
        with case(name, flush):
            bedrock.converse(modelId=MODEL, messages=ASK)
    for name in ("bedrock-stream", "bedrock-stream-cached"):
        with case(name, flush):
            list(bedrock.converse_stream(modelId=MODEL, messages=ASK)["stream"])
    with case("bedrock-error", flush, fails=True):
        bedrock.converse(modelId=MODEL, messages=ASK)
    for name in ("bedrock-invoke-plain", "bedrock-invoke-cached"):
        with case(name, flush):
            bedrock.invoke_model(modelId=MODEL, body=json.dumps(BODY))["body"].read()
    with case("bedrock-invoke-stream", flush):
        list(bedrock.invoke_model_with_response_stream(modelId=MODEL, body=json.dumps(BODY))["body"])
    if embedding:
        with case("bedrock-embedding", flush):
            bedrock.invoke_model(modelId=TITAN, body=json.dumps({"inputText": "words"}))["body"].read()
