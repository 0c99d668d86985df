// An exchange, what it gets messages from, and where they go, drawn.
import {svg} from './dom.js';
import {trimmed} from './format.js';
import {exchangeName, href} from './parts.js';

const ROW = 54, BOX = 42, KEYS_SHOWN = 3, EDGE = 1;

// Where bindings lead, each end once: [{name, type, keys}], in the order of their first.
export function ends(bindings, nameOf, typeOf) {
    const found = new Map();
    for (const binding of bindings) {
        const name = nameOf(binding), type = typeOf(binding), id = JSON.stringify([type, name]);
        if (!found.has(id))
            found.set(id, {name, type, keys: []});
        found.get(id).keys.push(keyText(binding));
    }
    return [...found.values()];
}

export function keyText(binding) {
    const pairs = Object.entries(binding.arguments || {}).map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
    return [binding.routing_key, ...pairs].filter(Boolean).join(' ');
}

export function keysText(keys) {
    const said = keys.filter(Boolean);
    const more = said.length - KEYS_SHOWN;
    return said.slice(0, KEYS_SHOWN).join(', ') + (more > 0 ? ` +${more}` : '');
}

// Columns for a width: {x: [left of each], widths: [...], height}. What has keys in it is wider than the exchange itself.
export function layout(width, left, right) {
    const gap = Math.max(36, Math.floor(width * 0.12)), room = width - 2 * EDGE;
    const parts = left ? [3, 2, 3] : [2, 3];
    const whole = parts.reduce((a, b) => a + b), most = left ? 300 : 420;
    const widths = parts.map(part => Math.min(most, Math.floor((room - gap * (parts.length - 1)) * part / whole)));
    let x = EDGE;
    return {widths, x: widths.map(one => (x += one + gap) - one - gap), height: Math.max(left, right, 1) * ROW};
}

function fitted(text, width, letter) {
    return trimmed(text, Math.max(3, Math.floor((width - 20) / letter)));
}

function box(end, x, y, width, kind, target) {
    const keys = keysText(end.keys || []);
    const group = svg('g', {class: `node ${kind}`}, svg('title', {}, `${end.type} ${end.name}${keys ? ': ' + keys : ''}`),
        svg('rect', {x, y, width, height: BOX, rx: kind === 'queue' ? 5 : BOX / 2}),
        svg('text', {x: x + 12, y: y + (keys ? 18 : BOX / 2 + 4)}, fitted(end.name, width, kind === 'own' ? 8 : 7.2)),
        keys ? svg('text', {class: 'keys', x: x + 12, y: y + 33}, fitted(keys, width, 6.7)) : null);
    return target ? svg('a', {href: target, 'aria-label': `${end.type} ${end.name}`}, group) : group;
}

function edge(x1, y1, x2, y2) {
    const middle = (x1 + x2) / 2;
    return svg('path', {class: 'edge', d: `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2 - 5} ${y2}`, 'marker-end': 'url(#arrow)'});
}

function rowsFrom(height, many) {
    const top = (height - many * ROW) / 2;
    return i => top + i * ROW + (ROW - BOX) / 2;
}

// sources, targets: as ends() has them.
export function draw(vhost, name, sources, targets, width) {
    const at = layout(width, sources.length, targets.length), ownColumn = sources.length ? 1 : 0;
    const own = at.x[ownColumn], ownEnd = own + at.widths[ownColumn], far = at.x[ownColumn + 1], farWidth = at.widths[ownColumn + 1], middle = at.height / 2;
    const leftY = rowsFrom(at.height, sources.length), rightY = rowsFrom(at.height, targets.length);
    const page = end => href(end.type === 'queue' ? 'queues' : 'exchanges', vhost, end.name || 'amq.default');
    return svg('svg', {class: 'graph', viewBox: `0 0 ${width} ${at.height}`, width, height: at.height, role: 'group',
                       'aria-label': `Bindings of exchange ${exchangeName(name)}: from ${sources.length} exchanges, to ${targets.length} queues and exchanges`},
        svg('defs', {}, svg('marker', {id: 'arrow', viewBox: '0 0 8 8', refX: 6, refY: 4, markerWidth: 6, markerHeight: 6, orient: 'auto'},
            svg('path', {d: 'M0 0L8 4L0 8z'}))),
        sources.map((end, i) => edge(at.x[0] + at.widths[0], leftY(i) + BOX / 2, own, middle)),
        targets.map((end, i) => edge(ownEnd, middle, far, rightY(i) + BOX / 2)),
        sources.map((end, i) => box({...end, name: exchangeName(end.name)}, at.x[0], leftY(i), at.widths[0], 'exchange', page(end))),
        targets.map((end, i) => box(end, far, rightY(i), farWidth, end.type, page(end))),
        box({name: exchangeName(name), type: 'exchange'}, own, middle - BOX / 2, at.widths[ownColumn], 'own', null));
}
