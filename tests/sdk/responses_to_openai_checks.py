"""The official openai SDK's Responses, served by a provider of chat completions."""

import openai

from checks import raises, run
from responses_checks import breaks, checks, client, crossed, streamed

PATCH = [{"type": "custom", "name": "apply_patch"}]


def check_freeform_input_comes_as_it_was_meant():
    asked = {"model": "chat-up", "input": "patch it", "tools": PATCH}
    events, answer = streamed(**asked)
    for answer in (answer, client.responses.create(**asked)):
        assert answer.output[0].type == "custom_tool_call", answer
        assert answer.output[0].input == "*** Begin\n+\"é\"\n", answer
    pieces = [e.delta for e in events if e.type == "response.custom_tool_call_input.delta"]
    assert "".join(pieces) == "*** Begin\n+\"é\"\n" and len(pieces) > 2, pieces


def check_refusal():
    asked = {"model": "chat-up", "input": "refuse"}
    events, answer = streamed(**asked)
    for answer in (answer, client.responses.create(**asked)):
        part = answer.output[0].content[0]
        assert (part.type, part.refusal) == ("refusal", "I cannot."), answer
    assert "response.refusal.done" in [event.type for event in events]


def check_limited():
    for stream in (False, True):
        error = raises(openai.RateLimitError, lambda: client.responses.create(
            model="chat-limited", input="Hi", stream=stream))
        assert error.code == "rate_limit_exceeded", error


if __name__ == "__main__":
    run({**checks("chat-up"), **crossed("chat-up"), **breaks("chat-breaks", "The server broke"),
         **globals()})
