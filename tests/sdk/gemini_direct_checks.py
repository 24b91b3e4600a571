"""The official google-genai SDK, unmodified, served by a provider of its own dialect."""

from google import genai
from google.genai import errors, types

from checks import KEY, URL, raises, run

client = genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=URL))
beta = genai.Client(
    api_key=KEY, http_options=types.HttpOptions(base_url=URL, api_version="v1beta"))

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = types.FunctionDeclaration(
    name="get_weather", description="The weather", parameters_json_schema=CITY)
BY_HAND = types.AutomaticFunctionCallingConfig(disable=True)


def generate(contents="Hello there", model="gemini-3-flash", using=client, **config):
    return using.models.generate_content(
        model=model, contents=contents, config=types.GenerateContentConfig(**config))


def check_whole_in_both_versions():
    for using in (client, beta):
        answer = generate(using=using, system_instruction="Be brief.", temperature=1.5)
        assert answer.text == "You said: Hello there Be brief.", answer.text
        assert answer.candidates[0].finish_reason == types.FinishReason.STOP
        usage = answer.usage_metadata
        assert (usage.prompt_token_count, usage.thoughts_token_count) == (30, 4), usage
        assert answer.response_id == "resp-1" and answer.model_version == "gemini-3-flash"


def check_a_name_of_the_gateways_own_with_a_slash():
    assert generate(model="house/small").text == "You said: Hello there"


def check_stream():
    pieces = list(client.models.generate_content_stream(
        model="gemini-3-flash", contents="Hello there"))
    assert "".join(piece.text or "" for piece in pieces) == "You said: Hello there"
    assert len(pieces) == 5 and pieces[-1].usage_metadata.total_token_count == 42


def check_thoughts():
    answer = generate(thinking_config=types.ThinkingConfig(include_thoughts=True))
    assert answer.candidates[0].content.parts[0].thought


def check_functions_and_signatures_in_a_chat():
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[WEATHER])],
        automatic_function_calling=BY_HAND)
    for send in ("send_message", "send_message_stream"):
        chat = client.chats.create(model="gemini-3-flash", config=config)
        asked = getattr(chat, send)("What is the weather in Paris and Rome?")
        answers = [asked] if send == "send_message" else list(asked)
        calls = [call for answer in answers for call in answer.function_calls or []]
        assert [call.args["city"] for call in calls] == ["Paris", "Rome"], calls
        results = [types.Part.from_function_response(name=call.name, response={"result": "17 C"})
                   for call in calls]
        told = chat.send_message(results).text
        assert told == "The tool said 17 C and 17 C. Signed: True.", told


def check_structured_output():
    answer = generate(response_mime_type="application/json", response_json_schema=CITY)
    assert answer.text == '{"city": "Paris"}'


def check_count_tokens():
    assert client.models.count_tokens(model="house/small", contents="Hello").total_tokens == 7


def check_embeddings():
    for contents in ("one", ["one", "two"]):
        answer = client.models.embed_content(model="house/small", contents=contents)
        expected = 1 if isinstance(contents, str) else 2
        assert len(answer.embeddings) == expected, answer
        assert answer.embeddings[0].values == [0.25, -0.5]


def check_models():
    names = [model.name for model in client.models.list()]
    assert "models/house/small" in names, names
    assert client.models.get(model="house/small").name == "models/house/small"


def check_errors():
    error = raises(errors.ServerError, lambda: generate(model="gemini-overloaded"))
    assert (error.code, error.status) == (503, "UNAVAILABLE"), error
    error = raises(errors.ClientError, lambda: generate(model="gemini-limited"))
    assert (error.code, error.status) == (429, "RESOURCE_EXHAUSTED"), error
    assert error.response.headers["retry-after"] == "35", error.response.headers
    error = raises(errors.ClientError, lambda: generate(model="nothing-like-it"))
    assert (error.code, error.status) == (404, "NOT_FOUND"), error
    wrong = genai.Client(api_key="sk-wrong", http_options=types.HttpOptions(base_url=URL))
    error = raises(errors.ClientError, lambda: generate(using=wrong))
    assert (error.code, error.status) == (401, "UNAUTHENTICATED"), error
    error = raises(errors.ClientError, lambda: generate(stop_sequences=list("abcdef")))
    assert error.code == 400 and "stop_sequences" in error.message, error


def check_a_stream_that_breaks_raises():
    pieces = client.models.generate_content_stream(model="gemini-breaks", contents="Hello there")
    error = raises(errors.APIError, lambda: list(pieces))
    assert error.code == 503, error


run(globals())
