// Runs named checks one after the other, tells each result, and fails if one failed.

export const URL = process.env.SLUICE_URL;
export const KEY = process.env.SLUICE_KEY;

export async function run(groups) {
  let failed = 0;
  for (const [group, checks] of Object.entries(groups)) {
    for (const [name, check] of Object.entries(checks)) {
      try {
        await check();
        console.log(`ok   ${group} ${name}`);
      } catch (error) {
        failed += 1;
        console.log(`FAIL ${group} ${name}`);
        console.log(error);
      }
    }
  }
  process.exit(failed ? 1 : 0);
}

// The error of a call that must fail.
export async function raises(call) {
  let result;
  try {
    result = await call();
  } catch (error) {
    return error;
  }
  throw new Error(`no error but ${JSON.stringify(result)}`);
}

// Until it holds; a provider learns a moment later than its caller that a stream was left.
export async function eventually(holds) {
  for (const by = Date.now() + 20_000; Date.now() < by; ) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("it never came");
}
