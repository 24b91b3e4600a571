"""A provider of OpenAI's files and realtime sessions, on a free port that it prints. What does not
come as the real one wants it (key, model, host of the caller's secrets) is refused.
"""

import base64
import hashlib
import json
import struct
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = "Bearer sk-upstream"
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CALLERS = "sk-sdk-suite"
FILES = {}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, media="application/json"):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", media)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def refused(self):
        leaked = CALLERS in self.path or any(CALLERS in value for value in self.headers.values())
        if self.headers.get_all("authorization") == [KEY] and not leaked:
            return False
        self.answer(400, {"error": {"message": "not the provider's key, or the caller's beside it"}})
        return True

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.refused():
            return
        if self.path != "/v1/files" or b'name="purpose"\r\n\r\nbatch\r\n' not in body:
            self.answer(400, {"error": {"message": "no such upload"}})
            return
        content = body.split(b"filename=", 1)[1].split(b"\r\n\r\n", 1)[1].split(b"\r\n--", 1)[0]
        FILES[name := f"file-{len(FILES)}"] = content
        self.answer(200, described(name))

    def do_GET(self):
        if self.refused():
            return
        path, _, query = self.path.partition("?")
        name = path.removeprefix("/v1/files/").removesuffix("/content")
        if path == "/v1/realtime" and query == "model=gpt-realtime":
            self.converse()
        elif name in FILES and path.endswith("/content"):
            self.answer(200, FILES[name], "application/octet-stream")
        elif name in FILES:
            self.answer(200, described(name))
        else:
            self.answer(404, {"error": {"message": f"no {path}", "code": "not_found"}})

    def do_DELETE(self):
        if not self.refused():
            name = self.path.removeprefix("/v1/files/")
            FILES.pop(name)
            self.answer(200, {"id": name, "object": "file", "deleted": True})

    def converse(self):
        key = self.headers["sec-websocket-key"].encode()
        self.send_response(101)
        self.send_header("upgrade", "websocket")
        self.send_header("connection", "Upgrade")
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
        self.send_header("sec-websocket-accept", accept)
        self.end_headers()
        self.say({"type": "session.created", "event_id": "e", "session": {"type": "realtime"}})
        while (event := self.hear()) is not None:
            if event["type"] == "session.update":
                self.say({"type": "session.updated", "event_id": "e", "session": event["session"]})
            elif event["type"] == "response.create":
                self.respond()
        self.close_connection = True

    def respond(self):
        response = {"id": "r", "object": "realtime.response", "status": "in_progress"}
        self.say({"type": "response.created", "event_id": "e", "response": response})
        place = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
        for delta in ["Hello", " there"]:
            event = {"type": "response.output_text.delta", "event_id": "e", "delta": delta}
            self.say(event | place)
        usage = {"total_tokens": 30, "input_tokens": 10, "output_tokens": 20}
        done = response | {"status": "completed", "usage": usage}
        self.say({"type": "response.done", "event_id": "e", "response": done})

    def say(self, event):
        text = json.dumps(event).encode()
        size = bytes([len(text)]) if len(text) < 126 else b"\x7e" + struct.pack(">H", len(text))
        self.wfile.write(b"\x81" + size + text)

    def hear(self):
        """The next event; None at the end. The peer's frames are whole messages."""
        first, second = self.rfile.read(2)
        length = second & 127
        if length == 126:
            (length,) = struct.unpack(">H", self.rfile.read(2))
        mask, payload = self.rfile.read(4), self.rfile.read(length)
        plain = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
        if first & 15 == 8:
            self.wfile.write(b"\x88" + bytes([len(plain)]) + plain)
            return None
        return json.loads(plain)


def described(name):
    return {
        "id": name,
        "object": "file",
        "bytes": len(FILES[name]),
        "created_at": 1,
        "filename": "requests.jsonl",
        "purpose": "batch",
        "status": "processed",
    }


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
