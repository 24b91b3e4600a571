"""The official cohere SDK, unmodified, where it reranks, and the openai SDK for Cohere's embeddings."""

import cohere
import openai

from checks import KEY, URL, raises, run

client = cohere.ClientV2(api_key=KEY, base_url=URL, timeout=30)
old = cohere.Client(api_key=KEY, base_url=URL, timeout=30)
vectors = openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0, timeout=30)

DOCUMENTS = ["about dogs", "about cats", "about crabs"]


def check_rerank():
    answer = client.rerank(model="rerank-up", query="cats", documents=DOCUMENTS, top_n=2)
    assert [result.index for result in answer.results] == [1, 0], answer
    assert answer.results[0].relevance_score == 0.9
    assert answer.meta.billed_units.search_units == 1
    assert answer.id == "rr-1"


def check_rerank_of_the_older_client():
    answer = old.rerank(
        model="rerank-up", query="cats", documents=[{"text": text} for text in DOCUMENTS],
        return_documents=False, max_chunks_per_doc=10)
    assert answer.results[0].index == 1


def check_rerank_by_a_server_that_follows_openai():
    answer = client.rerank(model="bge-reranker", query="crabs", documents=DOCUMENTS)
    assert [result.index for result in answer.results][0] == 2
    assert len(answer.results) == 3


def check_errors():
    error = raises(cohere.NotFoundError, lambda: client.rerank(
        model="rerank-missing", query="cats", documents=DOCUMENTS))
    assert "not found" in str(error.body), error.body
    error = raises(cohere.NotFoundError, lambda: client.rerank(
        model="no-such-model", query="cats", documents=DOCUMENTS))
    assert error.body["code"] == "model_not_found", error.body
    stranger = cohere.ClientV2(api_key="sk-wrong", base_url=URL, timeout=30)
    raises(cohere.UnauthorizedError, lambda: stranger.rerank(
        model="rerank-up", query="cats", documents=DOCUMENTS))


def check_embeddings():
    # The SDK asks for base64 unless told otherwise.
    for more in ({}, {"encoding_format": "float"}):
        answer = vectors.embeddings.create(
            model="embed-up", input=["a", "bcd"], dimensions=3, **more)
        assert [item.embedding for item in answer.data] == [[1, 0.5, 0.5], [3, 0.5, 0.5]], answer
        assert answer.usage.prompt_tokens == 3 and answer.model == "embed-up"


def check_embeddings_that_cannot_be_made():
    error = raises(openai.BadRequestError, lambda: vectors.embeddings.create(
        model="embed-up", input=["a"] * 97))
    assert "at most 96" in str(error) and error.param == "input", error
    raises(openai.BadRequestError, lambda: vectors.embeddings.create(
        model="embed-up", input=[1, 2, 3]))


run(globals())
