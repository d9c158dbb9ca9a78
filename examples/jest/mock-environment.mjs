import { TestEnvironment } from "jest-environment-node";
import { startMock } from "logout-gateway-mock";

export default class MockEnvironment extends TestEnvironment {
  async setup() {
    await super.setup();
    this.global.mock = await startMock({ autoconfirm: false });
  }

  async teardown() {
    await this.global.mock.stop();
    await super.teardown();
  }
}
