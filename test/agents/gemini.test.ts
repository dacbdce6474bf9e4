// The real program: npm run test:agents -- gemini
import { rowsOf } from "../support/agent-row.ts";

rowsOf("gemini");
