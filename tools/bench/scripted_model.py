"""A model that is none: says the same to everybody, in the shape of Anthropic's messages.

The first answer asks for a file to be written, the next one ends the turn.
"""

import http.server
import json
import threading

WRITE = {"file_path": "made.txt", "content": "made\n"}


def events(request):
    """The stream that answers one request."""
    names = {tool.get("name") for tool in request.get("tools") or []}
    texts = json.dumps(request.get("messages") or [])
    asks = "Write" in names and '"tool_result"' not in texts
    if asks:
        # The CLI wants an absolute path; its working folder is in what it says of itself.
        block = {"type": "tool_use", "id": "toolu_1", "name": "Write", "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(request["write"])}
        reason = "tool_use"
    else:
        block = {"type": "text", "text": ""}
        delta = {"type": "text_delta", "text": "Done."}
        reason = "end_turn"
    message = {
        "id": "msg_1", "type": "message", "role": "assistant", "content": [],
        "model": request.get("model"), "stop_reason": None, "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 1},
    }
    yield {"type": "message_start", "message": message}
    yield {"type": "content_block_start", "index": 0, "content_block": block}
    yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    stop = {"stop_reason": reason, "stop_sequence": None}
    yield {"type": "message_delta", "delta": stop, "usage": {"output_tokens": 5}}
    yield {"type": "message_stop"}


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Silent: figures are printed on the same terminal."""

    def do_HEAD(self):
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    do_GET = do_HEAD

    def do_POST(self):
        length = int(self.headers.get("content-length") or 0)
        request = json.loads(self.rfile.read(length) or b"{}")
        request["write"] = {**WRITE, "file_path": f"{self.server.folder}/made.txt"}
        if "count_tokens" in self.path:
            return self.answer("application/json", b'{"input_tokens":10}')
        text = "".join(
            f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events(request)
        )
        return self.answer("text/event-stream", text.encode())

    def answer(self, kind, body):
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class ScriptedModel:
    """Listens on loopback for as long as it is used."""

    def __enter__(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.folder = "/workspace"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def works_in(self, folder):
        """Where the file is asked for."""
        self.server.folder = str(folder)
