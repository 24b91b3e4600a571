"""The official openai SDK's Responses, served by a provider of Anthropic's dialect."""

import openai

from checks import raises, run
from responses_checks import breaks, checks, client, crossed


def check_overloaded():
    error = raises(openai.InternalServerError, lambda: client.responses.create(
        model="claude-overloaded", input="Hi"))
    assert error.status_code == 503 and "Overloaded" in error.message, error


if __name__ == "__main__":
    run({**checks("claude-up"), **crossed("claude-up"), **breaks("claude-breaks", "Overloaded"),
         **globals()})
