"""Make the calls of the Strands vectors."""

from session import CHAT, OPENAI, REASONING, case, provider
from strands import Agent, ModelRetryStrategy, tool
from strands.models.openai import OpenAIModel

traces = provider()


@tool
def opening_hours() -> str:
    """Tell when the clinic is open."""
    return "8 to 17"


def agent(model=CHAT, tools=()):
    client = {"base_url": OPENAI, "api_key": "none", "max_retries": 0}
    return Agent(
        OpenAIModel(client_args=client, model_id=model),
        tools=[*tools],
        trace_attributes={"session.id": "s-4", "user.id": "u-17"},
        callback_handler=None,
        retry_strategy=ModelRetryStrategy(max_attempts=1),
    )


for name in ("plain", "cached"):
    with case(name, traces.force_flush):
        agent()("Say something short.")
with case("reasoning", traces.force_flush):
    agent(REASONING)("Say something short.")
with case("error", traces.force_flush, fails=True):
    agent()("Say something short.")
with case("wrapper-agent-with-tool", traces.force_flush):
    agent(tools=[opening_hours])("When are you open?")
