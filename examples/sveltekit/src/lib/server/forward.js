// Headers that concern one connection (RFC 9110, section 7.6.1), or an encoding that fetch has
// removed.
const NOT_FORWARDED = [
  "connection", "content-encoding", "content-length", "expect", "host", "keep-alive",
  "transfer-encoding", "upgrade",
];

function passedOn(headers) {
  const kept = new Headers(headers);
  NOT_FORWARDED.forEach((name) => kept.delete(name));
  return kept;
}

export async function forward({ request, url, getClientAddress }, server) {
  const headers = passedOn(request.headers);
  headers.set("X-Forwarded-For", getClientAddress());
  headers.set("X-Forwarded-Host", url.host);
  headers.set("X-Forwarded-Proto", url.protocol.slice(0, -1));
  const answer = await fetch(`${server}${url.pathname}${url.search}`, {
    method: request.method,
    headers,
    body: request.body && await request.arrayBuffer(),
    redirect: "manual",
  });
  return new Response(answer.body, { status: answer.status, headers: passedOn(answer.headers) });
}
