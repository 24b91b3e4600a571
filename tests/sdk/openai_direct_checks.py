"""The official openai SDK, unmodified: files through direct calls, and realtime sessions."""

import openai

from checks import KEY, URL, raises, run

client = openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0, timeout=30)
direct = client.with_options(base_url=f"{URL}/providers/sdk/openai")


def check_files_are_stored_read_and_deleted():
    stored = direct.files.create(file=("requests.jsonl", b'{"a": 1}\n' * 100_000), purpose="batch")
    assert stored.bytes == 900_000, stored
    assert direct.files.retrieve(stored.id).id == stored.id
    assert direct.files.content(stored.id).read() == b'{"a": 1}\n' * 100_000
    assert direct.files.delete(stored.id).deleted
    error = raises(openai.NotFoundError, lambda: direct.files.retrieve(stored.id))
    assert error.code == "not_found", error


def check_models_are_not_called_past_their_routes():
    ask = lambda: direct.chat.completions.create(model="m", messages=[])  # noqa: E731
    assert raises(openai.PermissionDeniedError, ask).code == "path_not_granted"
    assert raises(openai.PermissionDeniedError, direct.batches.list).code == "path_not_granted"


def check_a_session_answers():
    with client.realtime.connect(model="voice") as connection:
        assert connection.recv().type == "session.created"
        connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        assert connection.recv().type == "session.updated"
        for _ in range(2):
            connection.response.create()
            text = ""
            while (event := connection.recv()).type != "response.done":
                text += getattr(event, "delta", "")
            assert text == "Hello there", text
            assert event.response.usage.total_tokens == 30, event


def check_a_session_of_an_unknown_model_is_refused():
    def connect():
        with client.realtime.connect(model="other"):
            pass

    assert "404" in str(raises(Exception, connect))


run(globals())
