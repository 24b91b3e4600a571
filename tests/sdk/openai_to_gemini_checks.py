"""The official openai SDK, unmodified, served by a provider of Gemini's dialect."""

import json

import openai
from pydantic import BaseModel

from checks import KEY, URL, raises, run

client = openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0, timeout=30)

HELLO = [{"role": "user", "content": "Hello there"}]
WEATHER = [{"role": "user", "content": "What is the weather in Paris and Rome?"}]
TOOLS = [{
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"const": "C"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}]


def chat(model="gemini-3-flash", messages=None, **more):
    return client.chat.completions.create(model=model, messages=messages or HELLO, **more)


def check_whole():
    answer = chat(messages=[{"role": "system", "content": "Be brief."}, *HELLO], seed=1)
    assert answer.choices[0].message.content == "You said: Hello there Be brief."
    usage = answer.usage
    # Thoughts are output with OpenAI, and not with Gemini.
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (30, 12, 42), usage
    assert usage.prompt_tokens_details.cached_tokens == 5
    assert usage.completion_tokens_details.reasoning_tokens == 4


def check_max_tokens():
    answer = chat(max_completion_tokens=2)
    assert answer.choices[0].message.content == "You said:"
    assert answer.choices[0].finish_reason == "length"


def check_stream():
    chunks = list(chat(stream=True, stream_options={"include_usage": True}))
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "You said: Hello there"
    assert chunks[-1].usage.total_tokens == 42, chunks[-1]


def answered(called):
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "17 C"}
               for call in called["tool_calls"]]
    return chat(messages=[*WEATHER, called, *results], tools=TOOLS).choices[0].message.content


def check_tools_and_signatures():
    with client.chat.completions.stream(
            model="gemini-3-flash", messages=WEATHER, tools=TOOLS) as stream:
        for _ in stream:
            pass
        streamed = stream.get_final_completion()
    for answer in (chat(messages=WEATHER, tools=TOOLS), streamed):
        assert answer.choices[0].finish_reason == "tool_calls"
        calls = answer.choices[0].message.tool_calls
        found = [(call.function.name, json.loads(call.function.arguments)) for call in calls]
        assert found == [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"})]
    kept = chat(messages=WEATHER, tools=TOOLS).choices[0].message.model_dump(exclude_none=True)
    assert answered(kept) == "The tool said 17 C and 17 C. Signed: True."
    for call in kept["tool_calls"]:
        call.pop("extra_content", None)
    assert answered(kept) == "The tool said 17 C and 17 C. Signed: False."


def check_structured_output():
    class City(BaseModel):
        city: str

    answer = client.chat.completions.parse(
        model="gemini-3-flash", messages=HELLO, response_format=City)
    assert answer.choices[0].message.parsed == City(city="Paris")


def check_reasoning_effort():
    for model in ("gemini-3-flash", "gemini-2.5-flash", "gemini-2.0-flash"):
        assert chat(model=model, reasoning_effort="low").choices[0].message.content


def check_errors():
    error = raises(openai.RateLimitError, lambda: chat(model="gemini-limited"))
    assert error.response.headers["retry-after"] == "35", error.response.headers
    error = raises(openai.InternalServerError, lambda: chat(model="gemini-overloaded"))
    assert error.status_code == 503, error
    raises(openai.APIError, lambda: list(chat(model="gemini-breaks", stream=True)))


run(globals())
