"""The official openai SDK, unmodified, served by a provider of Anthropic's dialect."""

import json

import openai

from checks import KEY, URL, raises, run

client = openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0, timeout=30)

HELLO = [{"role": "user", "content": "Hello there"}]
WEATHER = [{"role": "user", "content": "What is the weather in Paris and Rome?"}]
TOOLS = [{
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}]


def chat(model="claude-up", messages=None, **more):
    return client.chat.completions.create(model=model, messages=messages or HELLO, **more)


def final(**more):
    """What the SDK puts together from a stream."""
    with client.chat.completions.stream(model="claude-up", **more) as stream:
        for _ in stream:
            pass
        return stream.get_final_completion()


def calls(answer):
    found = answer.choices[0].message.tool_calls
    return [(call.function.name, json.loads(call.function.arguments)) for call in found]


CALLS = [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"})]


def check_whole():
    answer = chat(messages=[{"role": "system", "content": "Be brief."}, *HELLO], temperature=1.5)
    assert answer.choices[0].message.content == "You said: Hello there Be brief."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.object == "chat.completion" and answer.id
    # OpenAI's count of the prompt has what was read from the cache in it, Anthropic's has not.
    usage = answer.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (30, 12, 42), usage
    assert usage.prompt_tokens_details.cached_tokens == 5, usage


def check_max_tokens():
    for bound in ("max_tokens", "max_completion_tokens"):
        answer = chat(**{bound: 2})
        assert answer.choices[0].message.content == "You said:"
        assert answer.choices[0].finish_reason == "length"
    assert chat(model="bounded", max_tokens=400).choices[0].message.content == "You said: Hello"


def check_stream():
    chunks = list(chat(stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == "You said: Hello there"
    assert sum(1 for chunk in chunks if chunk.choices[0].delta.content) == 4
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in chunks), "usage was not asked for"


def check_stream_usage_when_asked_for():
    last = list(chat(stream=True, stream_options={"include_usage": True}))[-1]
    assert last.choices == [] and last.usage.total_tokens == 42, last
    assert last.usage.prompt_tokens_details.cached_tokens == 5, last


def check_tools():
    for answer in (chat(messages=WEATHER, tools=TOOLS), final(messages=WEATHER, tools=TOOLS)):
        assert answer.choices[0].finish_reason == "tool_calls"
        assert answer.choices[0].message.content == "Let me look."
        assert calls(answer) == CALLS, answer


def check_tool_choice():
    for choice in ("required", {"type": "function", "function": {"name": "get_weather"}}):
        assert calls(chat(messages=WEATHER, tools=TOOLS, tool_choice=choice)) == CALLS
    answer = chat(messages=WEATHER, tools=TOOLS, tool_choice="none")
    assert answer.choices[0].message.tool_calls is None


def check_tool_results():
    called = chat(messages=WEATHER, tools=TOOLS).choices[0].message
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": told}
        for call, told in zip(called.tool_calls, ["17 C", "21 C"])]
    messages = [*WEATHER, called, *results]
    for more in ({"tools": TOOLS}, {}):
        answer = chat(messages=messages, **more)
        assert answer.choices[0].message.content == "The tool said 17 C and 21 C."
    # What is said after the results belongs to the same turn, behind them.
    chat(messages=[*messages, {"role": "user", "content": "And now?"}], tools=TOOLS)


def check_dropped_parameters_are_named():
    raw = client.chat.completions.with_raw_response.create(
        model="claude-up", messages=HELLO, seed=1, user="u1")
    assert raw.headers["x-sluice-dropped"] == "seed", dict(raw.headers)


def check_a_refusal_of_the_provider():
    messages = [{"role": "tool", "tool_call_id": "call_9", "content": "17 C"}]
    error = raises(openai.BadRequestError, lambda: chat(messages=messages, tools=TOOLS))
    assert "counterpart" in error.message, error.message


def check_overloaded():
    for stream in (False, True):
        error = raises(
            openai.InternalServerError, lambda: chat(model="claude-overloaded", stream=stream))
        assert error.status_code == 503 and "Overloaded" in error.message, error


def check_error_inside_a_stream():
    pieces = []

    def read():
        for chunk in chat(model="claude-breaks", stream=True):
            pieces.append(chunk.choices[0].delta.content or "")

    error = raises(openai.APIError, read)
    assert "Overloaded" in error.message, error
    assert "".join(pieces) == "You said: Hello there"


if __name__ == "__main__":
    run(globals())
