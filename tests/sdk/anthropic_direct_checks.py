"""The official anthropic SDK, unmodified, served by a provider of its own dialect."""

import anthropic

from checks import KEY, URL, raises, run

client = anthropic.Anthropic(base_url=URL, api_key=KEY, max_retries=0, timeout=30)

HELLO = [{"role": "user", "content": "Hello there"}]
WEATHER = [{"role": "user", "content": "What is the weather in Paris and Rome?"}]
TOOLS = [{
    "name": "get_weather",
    "description": "The weather of a city",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}]


def asked(**more):
    return {"model": "claude-up", "messages": HELLO, "max_tokens": 500, **more}


def final(**more):
    """What the SDK puts together from a stream."""
    with client.messages.stream(**asked(**more)) as stream:
        return stream.get_final_message()


def uses(answer):
    return [(part.name, part.input) for part in answer.content if part.type == "tool_use"]


CALLS = [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"})]


def check_whole():
    answer = client.messages.create(**asked(system="Be brief."))
    assert answer.content[0].text == "You said: Hello there Be brief."
    assert answer.stop_reason == "end_turn" and answer.id == "msg_01"
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (25, 12)
    assert answer.usage.cache_read_input_tokens == 5


def check_what_the_gateway_does_not_know_passes():
    answer = client.messages.create(
        **asked(metadata={"user_id": "u1"}), extra_headers={"anthropic-beta": "new-thing-2030-01-01"})
    assert answer.seen == {"beta": "new-thing-2030-01-01", "metadata": {"user_id": "u1"}}


def check_max_tokens():
    assert client.messages.create(**asked(max_tokens=2)).stop_reason == "max_tokens"


def check_parameters_of_the_target():
    answer = client.messages.create(**asked(model="bounded"))
    assert (answer.content[0].text, answer.stop_reason) == ("You said: Hello", "max_tokens")


def check_stream():
    whole = client.messages.create(**asked())
    with client.messages.stream(**asked()) as stream:
        pieces = list(stream.text_stream)
        answer = stream.get_final_message()
    assert len(pieces) == 4 and "".join(pieces) == whole.content[0].text, pieces
    assert answer.stop_reason == "end_turn"
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (25, 12)


def check_stream_events_are_the_providers():
    kinds = [event.type for event in client.messages.create(**asked(stream=True))]
    assert kinds == [
        "message_start", "content_block_start", *["content_block_delta"] * 4,
        "content_block_stop", "message_delta", "message_stop"], kinds


def check_tool_use():
    for answer in (
            client.messages.create(**asked(messages=WEATHER, tools=TOOLS)),
            final(messages=WEATHER, tools=TOOLS)):
        assert answer.stop_reason == "tool_use"
        assert answer.content[0].text == "Let me look."
        assert uses(answer) == CALLS, answer


def check_tool_results():
    called = client.messages.create(**asked(messages=WEATHER, tools=TOOLS))
    results = [
        {"type": "tool_result", "tool_use_id": part.id, "content": told}
        for part, told in zip(called.content[1:], ["17 C", "21 C"])]
    messages = [
        *WEATHER, {"role": "assistant", "content": called.content},
        {"role": "user", "content": results}]
    answer = client.messages.create(**asked(messages=messages, tools=TOOLS))
    assert answer.content[0].text == "The tool said 17 C and 21 C."


def check_thinking():
    thinking = {"type": "enabled", "budget_tokens": 1024}
    for answer in (
            client.messages.create(**asked(thinking=thinking, max_tokens=2000)),
            final(thinking=thinking, max_tokens=2000)):
        assert answer.content[0].thinking == "Let me see."
        assert answer.content[0].signature == "c2lnbmVk"


def check_a_refusal_of_the_provider():
    orphan = [{"type": "tool_result", "tool_use_id": "toolu_9", "content": "17 C"}]
    messages = [{"role": "user", "content": orphan}]
    error = raises(anthropic.BadRequestError, lambda: client.messages.create(**asked(messages=messages)))
    assert error.body["error"]["type"] == "invalid_request_error"
    assert "counterpart" in error.body["error"]["message"], error.body


def check_the_callers_api_version_counts():
    old = {"anthropic-version": "2023-06-01"}
    client.messages.create(**asked(), extra_headers=old, extra_body={"temperature": 0.5})
    raises(
        anthropic.BadRequestError,
        lambda: client.messages.create(**asked(), extra_body={"temperature": 0.5}))


def check_overloaded():
    for stream in (False, True):
        error = raises(
            anthropic.APIStatusError,
            lambda: client.messages.create(**asked(model="claude-overloaded", stream=stream)))
        assert (error.status_code, error.body["error"]["type"]) == (529, "overloaded_error")


def check_error_inside_a_stream():
    pieces = []

    def read():
        with client.messages.stream(**asked(model="claude-breaks")) as stream:
            pieces.extend(stream.text_stream)

    error = raises(anthropic.APIStatusError, read)
    assert error.body["error"]["type"] == "overloaded_error", error.body
    assert "".join(pieces) == "You said: Hello there"


if __name__ == "__main__":
    run(globals())
