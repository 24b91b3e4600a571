"""The official openai SDK, unmodified."""

import json
import math

import openai
from pydantic import BaseModel

from checks import KEY, URL, raises, run

client = openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0, timeout=30)

HELLO = [{"role": "user", "content": "Hello there"}]
WEATHER = [{"role": "user", "content": "What is the weather in Paris?"}]
TOOLS = [{
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"enum": ["c", "f"]}},
            "required": ["city", "unit"],
        },
    },
}]


def chat(model="mock-fast", messages=None, **more):
    return client.chat.completions.create(model=model, messages=messages or HELLO, **more)


def check_whole():
    answer = chat()
    assert answer.choices[0].message.content.startswith("Your message has the digest ")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "mock-fast", answer.model
    usage = answer.usage
    assert usage.prompt_tokens > 0 and usage.completion_tokens > 10
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def check_stream_has_the_same_text():
    chunks = list(chat(stream=True))
    text = "".join(c.choices[0].delta.content or "" for c in chunks)
    assert text == chat().choices[0].message.content
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(c.usage is None and c.choices for c in chunks), "usage was not asked for"


def check_paced_stream_comes_piece_by_piece():
    chunks = list(chat(model="mock", stream=True, max_tokens=5))
    assert sum(1 for c in chunks if c.choices[0].delta.content) == 5
    assert chunks[-1].choices[0].finish_reason == "length"


def check_stream_usage_when_asked_for():
    chunks = list(chat(stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].choices == []
    assert chunks[-1].usage == chat().usage, chunks[-1].usage


def check_stream_helper():
    with client.chat.completions.stream(model="mock-fast", messages=HELLO) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()
    assert final.choices[0].message.content == chat().choices[0].message.content


def check_tools_whole():
    call = chat(messages=WEATHER, tools=TOOLS).choices[0]
    assert call.finish_reason == "tool_calls"
    function = call.message.tool_calls[0].function
    assert function.name == "get_weather"
    assert json.loads(function.arguments) == {"city": "mock", "unit": "c"}


def check_tools_stream():
    name, arguments = "", ""
    for chunk in chat(messages=WEATHER, tools=TOOLS, stream=True):
        for call in chunk.choices[0].delta.tool_calls or []:
            name += call.function.name or ""
            arguments += call.function.arguments or ""
    assert name == "get_weather"
    assert json.loads(arguments) == {"city": "mock", "unit": "c"}


def check_tool_result_is_answered():
    called = chat(messages=WEATHER, tools=TOOLS).choices[0].message
    result = {"role": "tool", "tool_call_id": called.tool_calls[0].id, "content": "17 C"}
    answer = chat(messages=[*WEATHER, called, result], tools=TOOLS)
    assert answer.choices[0].message.content.startswith("The tool said 17 C.")


def check_structured_output():
    class Person(BaseModel):
        name: str
        age: int

    answer = client.chat.completions.parse(
        model="mock-fast", messages=HELLO, response_format=Person)
    assert isinstance(answer.choices[0].message.parsed, Person)


def check_several_choices():
    assert len(chat(n=3).choices) == 3


def check_embeddings_by_default_as_base64():
    answer = client.embeddings.create(model="mock-fast", input=["one", "two"])
    assert [len(item.embedding) for item in answer.data] == [1536, 1536]
    length = math.sqrt(sum(number * number for number in answer.data[0].embedding))
    assert abs(length - 1) < 1e-3, length
    floats = client.embeddings.create(model="mock-fast", input="one", encoding_format="float")
    pairs = zip(answer.data[0].embedding, floats.data[0].embedding)
    assert all(abs(one - other) < 1e-6 for one, other in pairs)


def check_models_list():
    names = [model.id for model in client.models.list()]
    assert "mock" in names and "claude-mock" in names, names


def check_wrong_key():
    wrong = client.with_options(api_key="sk-wrong")
    call = lambda: wrong.chat.completions.create(model="mock", messages=HELLO)  # noqa: E731
    error = raises(openai.AuthenticationError, call)
    assert error.code == "invalid_api_key", error.code


def check_unknown_model():
    error = raises(openai.NotFoundError, lambda: chat(model="nothing-like-it"))
    assert error.code == "model_not_found", error.code


def check_bad_request():
    raises(openai.BadRequestError, lambda: chat(model="mock-error-400"))


def check_rate_limit_says_when_to_retry():
    error = raises(openai.RateLimitError, lambda: chat(model="mock-rate-limit"))
    assert int(error.response.headers["retry-after"]) >= 1


def check_upstream_failure():
    raises(openai.InternalServerError, lambda: chat(model="mock-error-500"))
    raises(openai.InternalServerError, lambda: chat(model="mock-refuse"))
    raises(openai.InternalServerError, lambda: chat(model="mock-empty"))
    raises(openai.InternalServerError, lambda: chat(model="mock-fast-cut-after-0", stream=True))


def interrupted(model):
    """The pieces of text before a stream broke; that it broke must be told."""
    pieces = []

    def read():
        for chunk in chat(model=model, stream=True):
            if chunk.choices and chunk.choices[0].delta.content:
                pieces.append(chunk.choices[0].delta.content)

    raises(openai.APIError, read)
    return pieces


def check_error_inside_a_stream():
    assert len(interrupted("mock-fast-error-after-3")) == 3


def check_connection_cut_inside_a_stream():
    assert len(interrupted("mock-fast-cut-after-3")) == 3


def check_stream_without_its_end():
    assert len(interrupted("mock-fast-truncate")) > 10


if __name__ == "__main__":
    run(globals())
