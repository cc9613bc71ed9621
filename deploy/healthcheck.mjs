// Asks the health page of the program in this container; ends with 0 if it answers well.
const url = process.env.FLOORWATCH_HEALTH_URL;
if (url !== undefined) {
  const response = await fetch(url, { signal: AbortSignal.timeout(4_000) }).catch((error) => {
    process.stderr.write(`${url}: ${error.cause?.message ?? error.message}\n`);
  });
  if (response !== undefined) process.stdout.write(`${response.status} ${await response.text()}\n`);
  process.exitCode = response?.ok === true ? 0 : 1;
}
