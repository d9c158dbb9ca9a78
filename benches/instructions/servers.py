"""The two servers of a run: the mock of GoTrue, and the gateway under callgrind."""

import http.client
import json
import re
import subprocess
import time
import urllib.request

START_SECONDS = 120
# The length of a token depends on this issuer, so the issuer must not have the mock's random port.
ISSUER = "https://abc.supabase.co/auth/v1"
# The reply of GoTrue must never be there before the gateway waits for it: the way through the runtime would differ.
GOTRUE_SECONDS = 0.003
# Bits 62 and 18 are RDRAND and RDSEED, the only features that AWS-LC uses and valgrind takes from the machine.
# AWS-LC reads each number as an AND mask, because of the `~`: crypto/fipsmodule/cpucap/cpu_intel.c.
WITHOUT_RANDOM_INSTRUCTIONS = "~0x4000000000000000:~0x40000"


class Server:
    """A process that writes its address to its log. It is killed at the end of a `with` block."""

    def __init__(self, command, log, address, **options):
        self.log = log
        with open(log, "w") as file:
            self.process = subprocess.Popen(command, stdout=file, stderr=file, **options)
        self.port = int(self.wait_for(address))

    def wait_for(self, pattern):
        """Waits for a log line with the pattern. Returns its first group."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            if found := re.search(pattern, self.log.read_text()):
                return found[1]
            time.sleep(0.02)
        raise SystemExit(f"{self.process.args[0]} did not start:\n{self.log.read_text()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Mock(Server):
    def __init__(self, binary, directory):
        command = [binary, "mock", "--bind", "127.0.0.1:0", "--issuer", ISSUER, "--seed"]
        super().__init__(command, directory / "mock.log", r"listening on http://127\.0\.0\.1:(\d+)")
        self.url = f"http://127.0.0.1:{self.port}"
        self.users = 0
        self.post("/mock/faults", {"operation": "logout", "kind": "delay", "seconds": GOTRUE_SECONDS})

    def post(self, path, body):
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request) as response:
            return json.loads(response.read() or "null")

    def sign_up(self):
        """Returns the session of a new user, as GoTrue answers it."""
        self.users += 1
        user = {"email": f"user-{self.users:05}@example.com", "password": "correct horse"}
        return self.post("/auth/v1/signup", user)


class Gateway(Server):
    """The gateway under callgrind, with one serving thread."""

    def __init__(self, binary, directory, mock):
        self.profile = directory / "callgrind.out"
        self.dumps = 0
        self.prefix = f"--vgdb-prefix={directory}/vgdb"
        valgrind = [
            "valgrind",
            "--tool=callgrind",
            f"--callgrind-out-file={self.profile}",
            f"--log-file={directory}/valgrind.log",
            self.prefix,
        ]
        environment = {
            "SUPABASE_URL": mock.url,
            "SUPABASE_PUBLISHABLE_KEY": "sb_publishable_of_the_benchmark",
            "GATEWAY_BIND": "127.0.0.1:0",
            "GATEWAY_ADMIN_BIND": "off",
            "GATEWAY_JWT_ISSUER": ISSUER,
            "GATEWAY_LOG_FORMAT": "json",
            "GATEWAY_SECRET": "a secret of the benchmark, of 32 bytes or more",
            "GATEWAY_THREADS": "1",
            "GATEWAY_TRUSTED_PROXIES": "127.0.0.1",
            "OPENSSL_ia32cap": WITHOUT_RANDOM_INSTRUCTIONS,
            "PATH": "/usr/bin:/bin",
        }
        command = [*valgrind, binary, "serve"]
        address = r'"address":"127\.0\.0\.1:(\d+)"'
        super().__init__(command, directory / "gateway.log", address, env=environment)
        # One connection, which stays open, as those of a reverse proxy do.
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=START_SECONDS)
        while self.send("GET", "/readyz", {})[0] != 200:
            time.sleep(0.1)

    def send(self, method, path, headers):
        """Sends a request. Returns the status, the headers and the body of the response."""
        self.connection.request(method, path, headers=headers)
        response = self.connection.getresponse()
        return response.status, response.headers, response.read()

    def take_instructions(self):
        """Returns the number of instructions since the call before, and the file with their profile."""
        command = ["vgdb", self.prefix, f"--pid={self.process.pid}", "dump"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.dumps += 1
        profile = self.profile.with_name(f"{self.profile.name}.{self.dumps}")
        totals = re.search(r"^totals: (\d+)$", profile.read_text(), re.MULTILINE)
        return int(totals[1]), profile
