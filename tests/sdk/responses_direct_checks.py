"""The official openai SDK's Responses, served by a provider of their own dialect."""

import openai

from checks import raises, run
from responses_checks import breaks, checks, client


def check_what_the_provider_keeps_is_its_own():
    answer = client.responses.create(
        model="gpt-up", input="Hello", previous_response_id="resp_0", tools=[{"type": "web_search"}])
    assert answer.output_text == "You said: Hello" and answer.id == "resp_1", answer


def check_freeform_tools():
    answer = client.responses.create(
        model="gpt-up", input="patch it", tools=[{"type": "custom", "name": "apply_patch"}])
    assert answer.output[0].input == "*** Begin\n+\"é\"\n", answer


def check_reasoning_goes_back():
    include = ["reasoning.encrypted_content"]
    answer = client.responses.create(model="gpt-up", input="Hello", include=include, store=False)
    history = [{"role": "user", "content": "Hello"}, *(i.to_dict() for i in answer.output),
               {"role": "user", "content": "More"}]
    assert answer.output[0].type == "reasoning"
    assert client.responses.create(model="gpt-up", input=history).output_text == "You said: More"


def check_refused_parameters():
    error = raises(openai.BadRequestError, lambda: client.responses.create(
        model="gpt-up", input="Hi", max_output_tokens=1))
    assert "minimum is 16" in error.message, error


if __name__ == "__main__":
    run({**checks("gpt-up"), **breaks("gpt-breaks", "The server broke"), **globals()})
