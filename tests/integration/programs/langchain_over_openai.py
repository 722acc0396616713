"""LangChain over the openai SDK, both instrumented, with and without ours: chains, batches, streams, embeddings."""

from __future__ import annotations

import telemetry
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from openinference.instrumentation.langchain import LangChainInstrumentor
from openinference.instrumentation.openai import OpenAIInstrumentor

import ai_usage


def main() -> None:
    """Make every kind of call."""
    telemetry.start()
    ai_usage.instrument(sdks=["openai"])
    LangChainInstrumentor().instrument()
    OpenAIInstrumentor().instrument()
    model = ChatOpenAI(model="gpt-4o-mini", max_retries=0, stream_usage=True)
    chain = ChatPromptTemplate.from_messages([("user", "{question}")]) | model
    chain.invoke({"question": "one"})
    for _ in chain.stream({"question": "two"}):
        pass
    chain.batch([{"question": "alike"}] * 4)
    OpenAIEmbeddings(model="text-embedding-3-small", check_embedding_ctx_length=False).embed_query("three")


if __name__ == "__main__":
    main()
