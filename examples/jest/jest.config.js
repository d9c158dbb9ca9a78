module.exports = { testEnvironment: "./mock-environment.mjs" };
