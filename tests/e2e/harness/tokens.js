// What a user of the tests has from others: the ID token of an identity provider, and the code of an
// authenticator.

import { createHmac, createPrivateKey, sign } from "node:crypto";
import { readFileSync } from "node:fs";

const SIGNING_KEYS = new URL("../../../fixtures/gotrue/signing-keys.json", import.meta.url);

const base64Url = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

// An ID token of Google, which the mock plays: it accepts tokens that its own keys sign.
export function googleIdToken(claims) {
  const { ES256: key } = JSON.parse(readFileSync(SIGNING_KEYS));
  const now = Math.floor(Date.now() / 1000);
  const header = { typ: "JWT", alg: key.alg, kid: key.kid };
  const payload = {
    iss: "https://accounts.google.com",
    aud: "the-client",
    email_verified: true,
    iat: now,
    exp: now + 3600,
    ...claims,
  };
  const input = `${base64Url(header)}.${base64Url(payload)}`;
  const privateKey = createPrivateKey({ key, format: "jwk" });
  const signature = sign("sha256", Buffer.from(input), { key: privateKey, dsaEncoding: "ieee-p1363" });
  return `${input}.${signature.toString("base64url")}`;
}

const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

// The code that an authenticator shows at this time (RFC 6238): six digits by HMAC-SHA-1, in steps of 30 s.
export function totpCode(secret, time = Date.now()) {
  const bits = [...secret].map((letter) => BASE32.indexOf(letter).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(time / 30_000)));
  const mac = createHmac("sha1", key).update(step).digest();
  const number = mac.readUInt32BE(mac[19] & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, "0");
}
