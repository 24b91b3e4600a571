"""Cohere's rerank and embed as strict as the real ones, and vLLM's rerank, on a free port that it prints.

Documents that hold the query come first. The model rerank-missing does not exist. Requests that the real
API refuses are refused with a 400 that says why.
"""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = "sk-upstream"
RERANK = {"model", "query", "documents", "top_n", "max_tokens_per_doc", "relevant_spans", "priority"}
EMBED = {"model", "input_type", "texts", "images", "inputs", "max_tokens", "output_dimension",
         "embedding_types", "truncate", "priority"}
INPUT_TYPES = {"search_document", "search_query", "classification", "clustering", "image"}


class Refused(Exception):
    """A request that is refused: message and status."""

    def __init__(self, message, status=400):
        super().__init__(message)
        self.status = status


def must(holds, message):
    if not holds:
        raise Refused(message)


def known(body, members):
    must(not set(body) - members, f"unknown field: {set(body) - members}")


def ranked(body, text_of):
    """Index, score and text of each document, the best first."""
    must(isinstance(body.get("query"), str) and body["query"], "query is required")
    documents = [text_of(document) for document in body["documents"]]
    scores = [0.9 if body["query"] in text else 0.1 / (i + 1) for i, text in enumerate(documents)]
    order = sorted(range(len(documents)), key=lambda i: -scores[i])[: body.get("top_n")]
    return [(i, scores[i], documents[i]) for i in order]


def rerank(body):
    known(body, RERANK)
    if body["model"] == "rerank-missing":
        raise Refused("model 'rerank-missing' not found", 404)
    must(all(isinstance(document, str) for document in body["documents"]), "documents: texts only")
    results = [{"index": i, "relevance_score": score} for i, score, _ in ranked(body, str)]
    meta = {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}
    return {"id": "rr-1", "results": results, "meta": meta}


def rerank_like_jina(body):
    def text_of(document):
        return document if isinstance(document, str) else document["text"]
    results = [{"index": i, "document": {"text": text}, "relevance_score": score}
               for i, score, text in ranked(body, text_of)]
    return {"id": "rr-2", "model": body["model"], "usage": {"total_tokens": 7}, "results": results}


def embed(body):
    known(body, EMBED)
    must(body.get("input_type") in INPUT_TYPES, "input_type is required")
    must(body.get("embedding_types") == ["float"], "embedding_types: float was expected")
    must(0 < len(body["texts"]) <= 96, "texts: from 1 to 96")
    size = body.get("output_dimension", 4)
    vectors = [[float(len(text))] + [0.5] * (size - 1) for text in body["texts"]]
    return {"id": "em-1", "texts": body["texts"], "embeddings": {"float": vectors},
            "meta": {"billed_units": {"input_tokens": 3.0}}, "response_type": "embeddings_by_type"}


PATHS = {"/v2/rerank": rerank, "/v1/rerank": rerank_like_jina, "/v2/embed": embed}


class Cohere(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        raw = self.rfile.read(int(self.headers["content-length"]))
        try:
            if self.headers.get("authorization") != f"Bearer {KEY}":
                raise Refused("invalid api token", 401)
            if self.path not in PATHS:
                raise Refused(f"no such path: {self.path}", 404)
            return self.whole(200, PATHS[self.path](json.loads(raw)))
        except Refused as refused:
            return self.whole(refused.status, {"id": "er-1", "message": str(refused)})

    def whole(self, status, answer):
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Cohere)
    print(server.server_port, flush=True)
    server.serve_forever()
