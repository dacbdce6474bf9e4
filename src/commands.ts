import * as access from "./access/commands.ts";
import * as agents from "./agents/commands.ts";
import * as approvals from "./approvals/commands.ts";
import * as artifacts from "./artifacts/commands.ts";
import * as events from "./events/commands.ts";
import * as flows from "./flows/commands.ts";
import * as models from "./models/commands.ts";
import * as projects from "./projects/commands.ts";
import * as sessions from "./sessions/commands.ts";
import * as tasks from "./tasks/commands.ts";

/** The whole API on one page: HTTP, CLI and the typed client are made of this list. */
export const entries = [
  projects.createProject,
  projects.listProjectsQuery,
  projects.getProjectQuery,
  projects.updateProject,
  agents.createAgent,
  tasks.createTask,
  tasks.listTasksQuery,
  tasks.getTaskQuery,
  tasks.taskDiff,
  tasks.mergeTask,
  tasks.stopTask,
  tasks.stopAll,
  tasks.retryTask,
  tasks.replyToTask,
  flows.lintFlow,
  flows.createRun,
  flows.listRunsQuery,
  flows.getRunQuery,
  flows.listStepsQuery,
  flows.stopRun,
  flows.retryRun,
  approvals.listApprovalsQuery,
  approvals.getApprovalQuery,
  approvals.answerApproval,
] as const;
