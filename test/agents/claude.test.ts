// The real program, which is proprietary and a person's own: npm run test:agents -- --with claude=/path/of/claude
import { rowsOf } from "../support/agent-row.ts";

rowsOf("claude");
