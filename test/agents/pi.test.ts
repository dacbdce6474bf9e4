// The real program: npm run test:agents -- pi
import { rowsOf } from "../support/agent-row.ts";

rowsOf("pi");
