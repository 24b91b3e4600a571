"""The official anthropic SDK, unmodified, served by a provider of OpenAI's dialect."""

import anthropic

from checks import KEY, URL, raises, run

client = anthropic.Anthropic(base_url=URL, api_key=KEY, max_retries=0, timeout=30)

HELLO = [{"role": "user", "content": "Hello there"}]
WEATHER = [{"role": "user", "content": "What is the weather in Paris?"}]
TOOLS = [{
    "name": "get_weather",
    "description": "The weather of a city",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}]


def message(model="claude-mock", messages=None, max_tokens=500, **more):
    return client.messages.create(
        model=model, messages=messages or HELLO, max_tokens=max_tokens, **more)


def check_whole():
    answer = message(system="Be brief.")
    assert answer.content[0].type == "text"
    assert answer.content[0].text.startswith("Your message has the digest ")
    assert answer.stop_reason == "end_turn"
    assert answer.role == "assistant" and answer.type == "message"
    assert answer.usage.input_tokens > 0 and answer.usage.output_tokens > 10


def check_max_tokens():
    answer = message(max_tokens=3)
    assert answer.stop_reason == "max_tokens"
    assert answer.usage.output_tokens == 3


def check_stream_has_the_same_text_and_usage():
    whole = message()
    with client.messages.stream(model="claude-mock", messages=HELLO, max_tokens=500) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == whole.content[0].text
    assert final.stop_reason == "end_turn"
    assert final.usage.output_tokens == whole.usage.output_tokens, final.usage


def check_stream_events_are_in_order():
    kinds = [event.type for event in message(stream=True)]
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop", kinds
    for kind in ("content_block_start", "content_block_stop", "message_delta"):
        assert kinds.count(kind) == 1, (kind, kinds)


def check_tools_whole():
    answer = message(messages=WEATHER, tools=TOOLS)
    assert answer.stop_reason == "tool_use"
    use = [part for part in answer.content if part.type == "tool_use"][0]
    assert (use.name, use.input) == ("get_weather", {"city": "mock"}) and use.id


def check_tools_stream():
    with client.messages.stream(
            model="claude-mock", messages=WEATHER, tools=TOOLS, max_tokens=500) as stream:
        final = stream.get_final_message()
    use = [part for part in final.content if part.type == "tool_use"][0]
    assert (use.name, use.input) == ("get_weather", {"city": "mock"})


def check_tool_result_is_answered():
    called = message(messages=WEATHER, tools=TOOLS)
    use = [part for part in called.content if part.type == "tool_use"][0]
    result = {"type": "tool_result", "tool_use_id": use.id, "content": "17 C"}
    answer = message(tools=TOOLS, messages=[
        *WEATHER,
        {"role": "assistant", "content": called.content},
        {"role": "user", "content": [result]},
    ])
    assert "17 C" in answer.content[0].text, answer.content


def check_stop_sequence():
    answer = message(stop_sequences=["digest"])
    assert answer.content[0].text.rstrip() == "Your message has the"


def check_errors():
    wrong = client.with_options(api_key="sk-wrong")
    call = lambda: wrong.messages.create(  # noqa: E731
        model="claude-mock", messages=HELLO, max_tokens=5)
    assert raises(anthropic.AuthenticationError, call).body["error"]["type"] == "authentication_error"
    raises(anthropic.NotFoundError, lambda: message(model="nothing-like-it"))
    raises(anthropic.BadRequestError, lambda: message(model="mock-error-400"))
    limited = raises(anthropic.RateLimitError, lambda: message(model="mock-rate-limit"))
    assert int(limited.response.headers["retry-after"]) >= 1
    raises(anthropic.APIStatusError, lambda: message(model="mock-error-500"))


def interrupted(model):
    """The pieces of text before a stream broke; that it broke must be told."""
    pieces = []

    def read():
        with client.messages.stream(model=model, messages=HELLO, max_tokens=500) as stream:
            pieces.extend(stream.text_stream)

    raises(anthropic.APIError, read)
    return pieces


def check_error_inside_a_stream():
    assert len(interrupted("mock-fast-error-after-3")) == 3


def check_connection_cut_inside_a_stream():
    assert len(interrupted("mock-fast-cut-after-3")) == 3


if __name__ == "__main__":
    run(globals())
