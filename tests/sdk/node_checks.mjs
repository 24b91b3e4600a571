// Every client for JavaScript with one model: `node node_checks.mjs MODEL [THOUGHTS]`.

import { ai } from "./ai_checks.mjs";
import { run } from "./checks.mjs";
import { chat, responses } from "./openai_checks.mjs";

const [model, thoughts = ""] = process.argv.slice(2);
await run({
  "openai chat": chat(model, thoughts),
  "openai responses": responses(model),
  ...ai(model),
});
