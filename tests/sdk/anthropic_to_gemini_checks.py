"""The official anthropic SDK, unmodified, served by a provider of Gemini's dialect."""

import anthropic

from checks import KEY, URL, raises, run

client = anthropic.Anthropic(base_url=URL, api_key=KEY, max_retries=0, timeout=30)

HELLO = [{"role": "user", "content": "Hello there"}]
WEATHER = [{"role": "user", "content": "What is the weather in Paris and Rome?"}]
TOOLS = [{
    "name": "get_weather",
    "description": "The weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}]


def message(model="gemini-3-flash", messages=None, **more):
    return client.messages.create(
        model=model, messages=messages or HELLO, max_tokens=500, **more)


def streamed(**more):
    with client.messages.stream(model="gemini-3-flash", max_tokens=500, **more) as stream:
        for _ in stream:
            pass
        return stream.get_final_message()


def check_whole():
    answer = message(system="Be brief.")
    assert answer.content[0].text == "You said: Hello there Be brief."
    assert answer.stop_reason == "end_turn"
    usage = answer.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (25, 5, 12)


def check_tools_and_signatures_come_back():
    for called in (message(messages=WEATHER, tools=TOOLS), streamed(messages=WEATHER, tools=TOOLS)):
        assert called.stop_reason == "tool_use"
        calls = [block for block in called.content if block.type == "tool_use"]
        assert [call.input for call in calls] == [{"city": "Paris"}, {"city": "Rome"}]
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": "17 C"}
                   for call in calls]
        history = [*WEATHER, {"role": "assistant", "content": called.content},
                   {"role": "user", "content": results}]
        told = message(messages=history, tools=TOOLS).content[0].text
        assert told == "The tool said 17 C and 17 C. Signed: True.", told


def check_thinking_is_shown():
    thinking = {"type": "enabled", "budget_tokens": 1024}
    for answer in (message(thinking=thinking), streamed(messages=HELLO, thinking=thinking)):
        assert answer.content[0].thinking == "Let me see.", answer.content


def check_errors():
    error = raises(anthropic.RateLimitError, lambda: message(model="gemini-limited"))
    assert error.response.headers["retry-after"] == "35", error.response.headers
    raises(anthropic.APIStatusError, lambda: message(model="gemini-overloaded"))


run(globals())
