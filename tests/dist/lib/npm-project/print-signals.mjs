// Prints the signals that end it, and then exits with status 7.

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, () => {
    console.log(`got ${signal}`);
    process.exit(7);
  });
}
setInterval(() => {}, 1000);
console.log("ready");
