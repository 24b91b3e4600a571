"""The official anthropic SDK, and the openai SDK's chat, before a provider that speaks Responses: models
that reason are asked there, for chat completions do not give their reasoning back."""

import anthropic
import openai

from checks import KEY, URL, run

claude = anthropic.Anthropic(base_url=URL, api_key=KEY, max_retries=0, timeout=30)
client = openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0, timeout=30)

WEATHER = [{"role": "user", "content": "What is the weather in Paris and Rome?"}]
TOOLS = [{"name": "get_weather", "input_schema": {
    "type": "object", "properties": {"city": {"type": "string"}}}}]


def ask(messages, **more):
    return claude.messages.create(
        model="gpt-5-up", max_tokens=100, messages=messages, tools=TOOLS, **more)


def final(messages):
    with claude.messages.stream(
            model="gpt-5-up", max_tokens=100, messages=messages, tools=TOOLS) as stream:
        return stream.get_final_message()


def check_reasoning_and_tools_there_and_back():
    for answer in (ask(WEATHER), final(WEATHER)):
        kinds = [block.type for block in answer.content]
        assert kinds == ["thinking", "text", "tool_use", "tool_use"], answer
        assert answer.content[0].thinking == "Let me see." and answer.content[0].signature
        assert answer.stop_reason == "tool_use"
        assert [block.input for block in answer.content[2:]] == [
            {"city": "Paris"}, {"city": "Rome"}]
        assert answer.usage.input_tokens == 25 and answer.usage.cache_read_input_tokens == 5
        results = [
            {"type": "tool_result", "tool_use_id": block.id, "content": told}
            for block, told in zip(answer.content[2:], ["17 C", "21 C"])]
        # The provider takes no reasoning but its own, so the signature must have come back as it was.
        told = ask([*WEATHER, {"role": "assistant", "content": answer.content},
                    {"role": "user", "content": results}])
        assert told.content[-1].text == "The tool said 17 C and 21 C.", told


def check_chat_stays_chat():
    answer = client.chat.completions.create(
        model="gpt-5-up", messages=[{"role": "user", "content": "Hello"}])
    assert answer.id == "chatcmpl-1" and answer.choices[0].message.content == "You said: Hello"


if __name__ == "__main__":
    run(globals())
