// What an operator must know, whatever is on the screen.
import {get, path} from './api.js';
import {bytes} from './format.js';

const EVERY_MS = 5000;

let lookedMs = -EVERY_MS;
let last = [];

function ofNode(node) {
    return [node.mem_alarm && `Memory is short: ${bytes(node.mem_used)} are used, publishers wait.`,
            node.disk_free_alarm && `The disk is nearly full: ${bytes(node.disk_free)} are free, publishers wait.`].filter(Boolean);
}

// The alarms there are, as sentences; not asked for at each look.
export async function alarms(app, signal) {
    if (performance.now() - lookedMs < EVERY_MS)
        return last;
    lookedMs = performance.now();
    const nodes = app.may('monitoring') ? await get(path('nodes'), {signal}) : [];
    let health = '';
    try {
        await get(path('health', 'checks', 'alarms'), {signal});
    } catch (error) {
        if (error.status !== 503)
            throw error;
        health = error.message;
    }
    const said = nodes.flatMap(ofNode);
    return last = said.length || !health ? said : [health];
}
