"""The official openai SDK, unmodified, at the endpoints that take forms; and google-genai's embeddings
at a provider of OpenAI's."""

import hashlib
import io
import urllib.request

import openai
from google import genai
from google.genai import errors, types

from checks import KEY, URL, raises, run

client = openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0, timeout=30)
google = genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=URL))

# Holds what could be taken for the end of a line, of a part or of a form.
SOUND = bytes(range(256)) * 40 + b"\r\n--\r\n--0123456789abcdef--\r\n\r\n--"
DIGEST = hashlib.sha256(SOUND).hexdigest()[:16]


def sound(name="speech.mp3"):
    return (name, io.BytesIO(SOUND), "audio/mpeg")


def check_transcription_whole():
    heard = client.audio.transcriptions.create(model="listen", file=sound(), language="en")
    assert heard.text == f"heard {DIGEST}", heard.text
    assert (heard.usage.type, heard.usage.input_tokens, heard.usage.output_tokens) == ("tokens", 14, 6)
    assert heard.usage.input_token_details.audio_tokens == 10


def check_transcription_stream():
    events = list(client.audio.transcriptions.create(model="listen", file=sound(), stream=True))
    assert "".join(e.delta for e in events if e.type == "transcript.text.delta").strip() == f"heard {DIGEST}"
    assert events[-1].type == "transcript.text.done" and events[-1].usage.total_tokens == 20


def check_transcription_falls_back_with_the_whole_form():
    raw = client.audio.transcriptions.with_raw_response.create(
        model="whisper", file=sound('odd "name".mp3'), response_format="verbose_json",
        timestamp_granularities=["word", "segment"], temperature=0.2)
    heard = raw.parse()
    assert heard.text == f"heard {DIGEST}" and float(heard.duration) == 2.5
    assert (raw.headers["x-sluice-target"], raw.headers["x-sluice-attempts"]) == ("whisper", "2")


def check_transcription_in_plain_text():
    for form in ("text", "srt", "vtt"):
        heard = client.audio.transcriptions.create(model="whisper", file=sound(), response_format=form)
        assert heard.strip() == f"heard {DIGEST}", heard


def check_a_model_that_does_not_stream_answers_whole():
    raw = client.audio.transcriptions.with_raw_response.create(model="whisper", file=sound(), stream=True)
    assert f"heard {DIGEST}" in raw.http_response.read().decode()


def check_translation():
    assert client.audio.translations.create(model="whisper", file=sound()).text == f"translated {DIGEST}"


def check_image_edit():
    made = client.images.edit(model="draw", image=sound("a.png"), mask=sound("m.png"), prompt="a cat", n=2)
    assert [image.revised_prompt for image in made.data] == [DIGEST] * 2
    assert made.usage.input_tokens_details.image_tokens == 300


def check_image_edit_of_several():
    made = client.images.edit(model="draw", image=[sound("a.png"), sound("b.png")], prompt="both")
    assert made.data[0].revised_prompt == f"{DIGEST} {DIGEST}"


def check_image_variation_with_and_without_a_model():
    for more in ({"model": "draw"}, {}):
        made = client.images.create_variation(image=sound("a.png"), n=1, **more)
        assert made.data[0].revised_prompt == DIGEST


def check_errors():
    missing = raises(openai.NotFoundError,
                     lambda: client.audio.transcriptions.create(model="unknown", file=sound()))
    assert missing.code == "model_not_found"
    wrong = raises(openai.BadRequestError,
                   lambda: client.audio.transcriptions.create(model="listen", file=sound(), extra_body={"odd": "1"}))
    assert "Unrecognized field 'odd'" in wrong.message, wrong.message
    # The route is for transcriptions only.
    raises(openai.NotFoundError, lambda: client.images.create_variation(model="listen", image=sound()))
    large = ("large.mp3", io.BytesIO(bytes(34 << 20)), "audio/mpeg")
    raises(openai.APIStatusError, lambda: client.audio.transcriptions.create(model="listen", file=large))


def check_embeddings_of_googles_sdk():
    made = google.models.embed_content(
        model="embed", contents=["one", "four"],
        config=types.EmbedContentConfig(task_type="RETRIEVAL_QUERY", output_dimensionality=3))
    assert [e.values for e in made.embeddings] == [[3 / 8] * 3, [4 / 8] * 3], made
    one = google.models.embed_content(model="embed", contents="one")
    assert one.embeddings[0].values == [3 / 8] * 4
    wrong = raises(errors.ClientError, lambda: google.models.embed_content(model="embed", contents=""))
    assert wrong.status == "INVALID_ARGUMENT", wrong


def check_embed_content_of_googles_rest_api():
    request = urllib.request.Request(
        f"{URL}/v1beta/models/embed:embedContent?key={KEY}", method="POST",
        data=b'{"content": {"parts": [{"text": "one"}]}}', headers={"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        assert answer.read() == b'{"embedding":{"values":[0.375,0.375,0.375,0.375]},"usageMetadata":{"promptTokenCount":7}}'


if __name__ == "__main__":
    run(globals())
