// tests/dist/npm compiles this file and never runs it.

import { createLogout, type Outcome } from "logout-gateway-client";
import { startMock, type Mail, type RunningMock } from "logout-gateway-mock";

const mock: RunningMock = await startMock({ tokenLifetime: "2s" });
const mail: Mail = await mock.mail({ to: "ann@example.com" });
const { outcome }: { outcome: Outcome } = await createLogout({ gatewayUrl: mock.url })();
fetch(mock.url, { body: `${mail.token} ${outcome}` });

// @ts-expect-error There is no such option.
startMock({ lifetime: "2s" });
// @ts-expect-error There is no such scope.
createLogout({ scope: "all" });
