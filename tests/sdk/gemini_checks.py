"""The official google-genai SDK, unmodified, served by a provider of OpenAI's dialect."""

from google import genai
from google.genai import errors, types
from pydantic import BaseModel

from checks import KEY, URL, raises, run

client = genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=URL))

PARAMETERS = {
    "type": "OBJECT",
    "properties": {"city": {"type": "STRING"}, "unit": {"type": "STRING", "enum": ["c", "f"]}},
    "required": ["city", "unit"],
}
WEATHER = types.FunctionDeclaration(
    name="get_weather", description="The weather of a city", parameters=PARAMETERS)


def generate(contents="Hello there", model="mock-fast", **config):
    return client.models.generate_content(
        model=model, contents=contents, config=types.GenerateContentConfig(**config))


def check_whole():
    answer = generate(system_instruction="Be brief.", top_k=40)
    assert answer.text.startswith("Your message has the digest "), answer.text
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    usage = answer.usage_metadata
    assert usage.prompt_token_count > 0 and usage.candidates_token_count > 10
    assert usage.total_token_count == usage.prompt_token_count + usage.candidates_token_count


def check_max_output_tokens():
    answer = generate(max_output_tokens=3)
    assert answer.candidates[0].finish_reason == types.FinishReason.MAX_TOKENS
    assert answer.usage_metadata.candidates_token_count == 3


def check_stream_has_the_same_text_and_usage():
    whole = generate()
    pieces = list(client.models.generate_content_stream(model="mock-fast", contents="Hello there"))
    assert "".join(piece.text or "" for piece in pieces) == whole.text
    assert pieces[-1].candidates[0].finish_reason == types.FinishReason.STOP
    assert pieces[-1].usage_metadata == whole.usage_metadata, pieces[-1].usage_metadata


def check_images():
    image = types.Part.from_bytes(data=b"\xfb\xff\xfe", mime_type="image/png")
    assert generate(contents=[image, "What is this?"]).text


def check_functions_in_a_chat():
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[WEATHER])],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True))
    for send in ("send_message", "send_message_stream"):
        chat = client.chats.create(model="mock-fast", config=config)
        asked = getattr(chat, send)("What is the weather in Paris?")
        answers = [asked] if send == "send_message" else list(asked)
        (call,) = [call for answer in answers for call in answer.function_calls or []]
        assert (call.name, call.args) == ("get_weather", {"city": "mock", "unit": "c"}), call
        result = types.Part.from_function_response(name=call.name, response={"output": "17 C"})
        assert chat.send_message(result).text.startswith("The tool said 17 C."), call


def check_functions_are_called_by_the_sdk():
    def get_weather(city: str) -> str:
        """The weather of a city."""
        return f"17 C in {city}"

    answer = generate(contents="What is the weather in Paris?", tools=[get_weather])
    assert "17 C in mock" in answer.text, answer.text


def check_structured_output():
    class Person(BaseModel):
        name: str
        age: int

    answer = generate(response_mime_type="application/json", response_schema=Person)
    assert isinstance(answer.parsed, Person), answer


def check_several_candidates():
    assert len(generate(candidate_count=3).candidates) == 3


def check_errors():
    error = raises(errors.ClientError, lambda: generate(model="nothing-like-it"))
    assert (error.code, error.status) == (404, "NOT_FOUND"), error
    error = raises(errors.ClientError, lambda: generate(model="mock-error-400"))
    assert (error.code, error.status) == (400, "INVALID_ARGUMENT"), error
    held = lambda: generate(cached_content="cachedContents/x")  # noqa: E731
    error = raises(errors.ClientError, held)
    assert error.code == 400 and "cachedContent" in error.message, error


run(globals())
