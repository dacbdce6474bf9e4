import * as access from "./access/commands.ts";
import * as agents from "./agents/commands.ts";
import * as approvals from "./approvals/commands.ts";
import * as artifacts from "./artifacts/commands.ts";
import * as events from "./events/commands.ts";
import * as flows from "./flows/commands.ts";
import * as models from "./models/commands.ts";
import * as processes from "./processes/commands.ts";
import * as projects from "./projects/commands.ts";
import * as sessions from "./sessions/commands.ts";
import * as tasks from "./tasks/commands.ts";

/** The whole API on one page: HTTP, the command line and the typed client are made of this list. */
export const entries = [
  access.createToken,
  access.revokeTokenCommand,
  access.listTokensQuery,
  access.listAuditQuery,
  agents.createAgent,
  agents.updateAgent,
  agents.removeAgent,
  agents.listAgentsQuery,
  agents.getAgentQuery,
  agents.detectAgentQuery,
  agents.refreshAgents,
  approvals.listApprovalsQuery,
  approvals.getApprovalQuery,
  approvals.answerApproval,
  artifacts.getArtifact,
  events.listEventsQuery,
  events.followEventsStream,
  flows.lintFlow,
  flows.createRun,
  flows.stopRun,
  flows.retryRun,
  flows.listRunsQuery,
  flows.getRunQuery,
  flows.listStepsQuery,
  models.setProvider,
  models.removeProvider,
  models.listProvidersQuery,
  processes.serverDoctor,
  projects.createProject,
  projects.updateProject,
  projects.listProjectsQuery,
  projects.getProjectQuery,
  sessions.listSessionsQuery,
  sessions.getSessionQuery,
  sessions.listTurnsQuery,
  sessions.readTranscript,
  sessions.sessionDiff,
  sessions.followSessionStream,
  tasks.createTask,
  tasks.mergeTask,
  tasks.stopTask,
  tasks.stopAll,
  tasks.retryTask,
  tasks.replyToTask,
  tasks.listTasksQuery,
  tasks.getTaskQuery,
  tasks.taskDiff,
] as const;
