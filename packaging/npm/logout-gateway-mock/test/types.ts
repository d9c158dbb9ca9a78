// package.test.js compiles this file and never runs it.

import {
  connectMock, startMock,
  type Call, type Fault, type Mail, type Mock, type RunningMock, type Session, type StartOptions, type User, type World,
} from "logout-gateway-mock";

const options: StartOptions = { seed: 1, users: [{ email: "ann@example.com", ban_duration: "1h" }], autoconfirm: false };
await using mock: RunningMock = await startMock(options);
const connected: Mock = await connectMock(mock.url);
await using world: World = connected.world("one");

const mail: Mail = await world.mail({ to: "ann@example.com", type: "signup", timeout: 1000 });
const mails: Mail[] = await mock.mails({ type: "sms" });
const users: User[] = await mock.users();
const sessions: Session[] = await mock.sessions();
const calls: Call[] = await mock.calls();
const faults: Fault[] = await mock.faults();
const texts: string[] = [mail.to, mail.token, mock.anonKey, users[0]!.id, sessions[0]!.aal, calls[0]!.path];
await mock.fault({ operation: "signup", kind: "status", code: "over_email_send_rate_limit", times: 1 });
await mock.fault({ operation: "token", kind: "delay", seconds: 0.5, effect: true });
const now: Date = await mock.advance("2h");
const { keys } = await mock.rotateKeys({ keepOld: true });
fetch(mock.gatewayUrl ?? mock.jwksUrl).then(() => console.log(mails, faults, texts, now, keys));

// @ts-expect-error A mail without a link has none.
const link: string = mail.link;
// @ts-expect-error There is no such option.
startMock({ lifetime: "2s" });
// @ts-expect-error A span of time has a unit.
mock.advance(7200);
// @ts-expect-error There is no such operation.
mock.fault({ operation: "sign_in", kind: "hang" });
// @ts-expect-error Only a delay has seconds.
mock.fault({ operation: "token", kind: "hang", seconds: 1 });
// @ts-expect-error There is no such type of mail.
mock.mails({ type: "newsletter" });
// @ts-expect-error A process does not stop a mock that it has not started.
connected.stop();
// @ts-expect-error A world has no worlds.
world.world("two");
