"""Checks of the official openai SDK's Responses that hold whatever the provider speaks."""

import json

import openai
import pydantic

from checks import KEY, URL, raises

client = openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0, timeout=30)

WEATHER = "What is the weather in Paris and Rome?"
TOOLS = [{
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city",
    "parameters": {
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}]
CITIES = [{"city": "Paris"}, {"city": "Rome"}]


class Weather(pydantic.BaseModel):
    city: str


def streamed(**asked):
    """The events, and what the SDK puts together from them."""
    with client.responses.stream(**asked) as stream:
        events = list(stream)
        return events, stream.get_final_response()


def calls(answer):
    return [item for item in answer.output if item.type == "function_call"]


def checks(model):
    """The checks for a model, by name."""

    def check_whole():
        answer = client.responses.create(
            model=model, instructions="Be brief.", input="Hello there", metadata={"a": "b"},
            temperature=0.5)
        assert answer.output_text == "You said: Hello there Be brief.", answer
        assert answer.status == "completed" and answer.object == "response"
        usage = answer.usage
        assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (30, 12, 42), usage
        assert usage.input_tokens_details.cached_tokens == 5, usage
        assert usage.output_tokens_details.reasoning_tokens is not None

    def check_stream():
        events, answer = streamed(model=model, input="Hello there")
        assert answer.output_text == "You said: Hello there"
        assert events[0].type == "response.created" and events[-1].type == "response.completed"
        assert [event.sequence_number for event in events] == list(range(len(events)))
        deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
        assert "".join(deltas) == "You said: Hello there" and len(deltas) > 1
        assert answer.usage.total_tokens == 42

    def check_plain_stream():
        events = list(client.responses.create(model=model, input="Hello there", stream=True))
        assert events[-1].response.output_text == "You said: Hello there"

    def check_tools():
        asked = {"model": model, "input": WEATHER, "tools": TOOLS}
        for answer in (client.responses.create(**asked), streamed(**asked)[1]):
            assert answer.output_text == "Let me look."
            assert [json.loads(call.arguments) for call in calls(answer)] == CITIES, answer
            assert len({call.call_id for call in calls(answer)}) == 2

    def check_parsed_arguments():
        tool = openai.pydantic_function_tool(Weather, name="get_weather")
        tool = {"type": "function", **tool["function"]}
        answer = client.responses.parse(model=model, input=WEATHER, tools=[tool])
        assert [call.parsed_arguments for call in calls(answer)] == CITIES, answer

    def check_structured_output():
        asked = {"model": model, "input": "Where?", "text_format": Weather}
        for answer in (client.responses.parse(**asked), streamed(**asked)[1]):
            assert answer.output_parsed == Weather(city="Paris"), answer

    def check_tool_results():
        asked = [{"role": "user", "content": WEATHER}]
        for called in (
            client.responses.create(model=model, input=asked, tools=TOOLS),
            streamed(model=model, input=asked, tools=TOOLS)[1],
        ):
            results = [
                {"type": "function_call_output", "call_id": call.call_id, "output": told}
                for call, told in zip(calls(called), ["17 C", "21 C"])]
            history = [*asked, *(item.to_dict() for item in called.output), *results]
            for item in history:
                item.pop("parsed_arguments", None)
            answer = client.responses.create(model=model, input=history, tools=TOOLS)
            assert answer.output_text == "The tool said 17 C and 21 C.", answer

    def check_tool_choice():
        answer = client.responses.create(
            model=model, input=WEATHER, tools=TOOLS, tool_choice="none")
        assert calls(answer) == []

    def check_missing_model():
        error = raises(openai.NotFoundError, lambda: client.responses.create(
            model="nobody", input="Hi"))
        assert error.code == "model_not_found", error

    def check_stored_answers_are_not_kept_here():
        error = raises(openai.NotFoundError, lambda: client.responses.retrieve("resp_1"))
        assert error.code == "response_not_found", error

    return {name: check for name, check in locals().items() if name.startswith("check_")}


def crossed(model):
    """The checks for a model whose provider does not speak Responses."""

    def check_what_was_asked_is_repeated():
        answer = client.responses.create(
            model=model, instructions="Be brief.", input="Hi", metadata={"a": "b"}, tools=TOOLS,
            temperature=0.5, parallel_tool_calls=False, max_output_tokens=50)
        assert answer.instructions == "Be brief." and answer.metadata == {"a": "b"}
        assert answer.temperature == 0.5 and answer.parallel_tool_calls is False
        assert answer.tools[0].name == "get_weather" and answer.max_output_tokens == 50
        assert answer.previous_response_id is None and answer.error is None
        assert answer.to_dict()["store"] is False

    def check_cut_off():
        asked = {"model": model, "input": "Hello there my friend", "max_output_tokens": 2}
        answer = client.responses.create(**asked)
        events = list(client.responses.create(**asked, stream=True))
        for answer in (answer, events[-1].response):
            assert answer.status == "incomplete", answer
            assert answer.incomplete_details.reason == "max_output_tokens"
            assert answer.output_text == "You said:"
        assert events[-1].type == "response.incomplete"

    def check_freeform_tools():
        tools = [{"type": "custom", "name": "get_weather", "description": "Any words."}]
        asked = {"model": model, "input": WEATHER, "tools": tools}
        for answer in (client.responses.create(**asked), streamed(**asked)[1]):
            called = [item for item in answer.output if item.type == "custom_tool_call"]
            assert [item.name for item in called] == ["get_weather"] * 2, answer
            # The provider does not keep to the form: its arguments are the input as they are.
            assert json.loads(called[0].input) == CITIES[0], called
        results = [
            {"type": "custom_tool_call_output", "call_id": item.call_id, "output": "17 C"}
            for item in called]
        history = [{"role": "user", "content": WEATHER},
                   *(item.to_dict() for item in answer.output), *results]
        answer = client.responses.create(model=model, input=history, tools=tools)
        assert answer.output_text == "The tool said 17 C and 17 C.", answer

    def check_namespaces():
        tools = [{"type": "namespace", "name": "meteo", "description": "d",
                  "tools": [{**TOOLS[0], "strict": False}]}]
        asked = {"model": model, "input": WEATHER, "tools": tools}
        for answer in (client.responses.create(**asked), streamed(**asked)[1]):
            assert [(c.namespace, c.name) for c in calls(answer)] == [
                ("meteo", "get_weather")] * 2, answer

    def check_what_needs_a_memory_is_refused():
        for more, code in (
            ({"previous_response_id": "resp_1"}, "unsupported_parameter"),
            ({"conversation": "conv_1"}, "unsupported_parameter"),
            ({"background": True}, "unsupported_parameter"),
            ({"tool_choice": {"type": "web_search_preview"}}, "unsupported_tool"),
        ):
            error = raises(openai.BadRequestError, lambda: client.responses.create(
                model=model, input="Hi", **more))
            assert error.code == code and error.param == next(iter(more)), error

    return {name: check for name, check in locals().items() if name.startswith("check_")}


def breaks(model, words):
    """The check for a model whose stream breaks after some words."""

    def check_error_inside_a_stream():
        events = list(client.responses.create(model=model, input="Hello there", stream=True))
        last = events[-1]
        assert last.type == "response.failed" and last.response.status == "failed", last
        assert last.response.id == events[0].response.id
        assert words in last.response.error.message, last
        text = [event.delta for event in events if event.type == "response.output_text.delta"]
        assert "".join(text) == "You said: Hello there"

    return {"check_error_inside_a_stream": check_error_inside_a_stream}
