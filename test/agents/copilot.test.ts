// The real program, which is proprietary and a person's own: npm run test:agents -- --with copilot=/path/of/copilot
import { rowsOf } from "../support/agent-row.ts";

rowsOf("copilot");
