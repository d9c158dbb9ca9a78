"""The requests that are counted, and what their responses must be."""

import base64
import json
import time

# Requests of each case that are counted, and requests before them that are not: those open connections and grow tables.
COUNTED = 300
WARM_UP = 30
# The longest that @supabase/ssr makes one cookie.
COOKIE_LENGTH = 3180
# The gateway waits for the next request, and has written its log, before that request comes: then each request takes
# the same way through the runtime.
PAUSE_SECONDS = 0.002
SETTLE_SECONDS = 0.5

# A browser's headers, as nginx passes them on.
HEADERS = {
    "Host": "app.example.com",
    "X-Forwarded-For": "203.0.113.7",
    "X-Forwarded-Host": "app.example.com",
    "X-Forwarded-Proto": "https",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept": "*/*",
    "Accept-Language": "en-US,en;q=0.5",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Origin": "https://app.example.com",
    "Sec-Fetch-Dest": "empty",
    "Sec-Fetch-Mode": "cors",
    "Sec-Fetch-Site": "same-origin",
}


class Person:
    """A user with one session."""

    def __init__(self, mock):
        self.session = mock.sign_up()
        self.id = self.session["user"]["id"]
        self.csrf_token = None
        self.bearer = {"Authorization": f"Bearer {self.session['access_token']}"}

    def cookies(self):
        """The session's cookies as @supabase/ssr writes them, and the CSRF cookie if there is one."""
        text = json.dumps(self.session, separators=(",", ":")).encode()
        value = "base64-" + base64.urlsafe_b64encode(text).decode().rstrip("=")
        name = "sb-127-auth-token"
        parts = [value[at : at + COOKIE_LENGTH] for at in range(0, len(value), COOKIE_LENGTH)]
        if len(parts) == 1:
            cookies = [f"{name}={value}"]
        else:
            cookies = [f"{name}.{number}={part}" for number, part in enumerate(parts)]
        if self.csrf_token:
            cookies.append(f"sb-csrf-token={self.csrf_token}")
        return {"Cookie": "; ".join(cookies)}


def count_all(gateway, mock, directory):
    """Returns the instructions per request of each case. Their profiles go into the directory."""
    client = Client(gateway)
    by_bearer, by_cookie, unseen = ([Person(mock) for _ in range(WARM_UP + COUNTED)] for _ in range(3))
    # The cache of verified tokens admits a token at its second use.
    for _ in range(2):
        for person in by_bearer:
            client.verify_by_bearer(person)
        for person in by_cookie:
            client.verify_by_cookie(person)
    # The order matters: a session is verified before its logout.
    cases = {
        "health": (client.health, by_bearer),
        "verify by Bearer": (client.verify_by_bearer, by_bearer),
        "verify by cookie": (client.verify_by_cookie, by_cookie),
        "csrf": (client.csrf, by_cookie),
        "logout by Bearer": (client.logout_by_bearer, by_bearer),
        "logout by cookie": (client.logout_by_cookie, by_cookie),
        "logout, token never seen": (client.logout_by_bearer, unseen),
    }
    counts = {}
    for name, (request, people) in cases.items():
        for person in people[:WARM_UP]:
            request(person)
        time.sleep(SETTLE_SECONDS)
        gateway.take_instructions()
        for person in people[WARM_UP:]:
            request(person)
        time.sleep(SETTLE_SECONDS)
        instructions, profile = gateway.take_instructions()
        counts[name] = round(instructions / COUNTED)
        profile.rename(directory / f"{name.replace(',', '').replace(' ', '-').lower()}.out")
    return counts


class Client:
    """Sends requests to the gateway, and checks the responses."""

    def __init__(self, gateway):
        self.gateway = gateway

    def send(self, method, path, headers):
        time.sleep(PAUSE_SECONDS)
        status, received, body = self.gateway.send(method, path, HEADERS | headers)
        if status != 200:
            raise SystemExit(f"{method} {path} was answered {status}: {body.decode()}")
        return received, body

    def health(self, _):
        _, body = self.send("GET", "/healthz", {})
        expect(body, b'{"status":"ok"}')

    def verify_by_bearer(self, person):
        self.verify(person, "bearer", person.bearer)

    def verify_by_cookie(self, person):
        self.verify(person, "cookie", person.cookies())

    def verify(self, person, carrier, headers):
        received, body = self.send("GET", "/api/auth/verify", headers)
        expect((received["X-Auth-User-Id"], received["X-Auth-Carrier"], body), (person.id, carrier, b""))

    def csrf(self, person):
        received, body = self.send("GET", "/api/auth/csrf", person.cookies())
        person.csrf_token = json.loads(body)["data"]["csrf_token"]
        expect(received["Set-Cookie"].split(";")[0], f"sb-csrf-token={person.csrf_token}")

    def logout_by_cookie(self, person):
        self.logout(person.cookies() | {"X-CSRF-Token": person.csrf_token})

    def logout_by_bearer(self, person):
        self.logout(person.bearer)

    def logout(self, headers):
        received, body = self.send("POST", "/api/auth/logout", headers)
        expect((received["X-Logout-Outcome"], body), ("revoked", b'{"data":{"success":true}}'))


def expect(value, expected):
    if value != expected:
        raise SystemExit(f"a response has {value!r} instead of {expected!r}")
