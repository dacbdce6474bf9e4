// The real program: npm run test:agents -- qwen
import { rowsOf } from "../support/agent-row.ts";

rowsOf("qwen");
