/**
 * Stands where the rig puts the real one, so that `work.ts` can be checked here.
 */

export { tellStart } from "../../kill_project/plugins/tell.ts";
