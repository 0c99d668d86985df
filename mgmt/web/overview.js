// The broker as a whole: totals, rates, latencies, listeners.
import {el, svg} from './dom.js';
import {ApiError, get, path} from './api.js';
import {Chart, legend} from './charts.js';
import {bytes, count, milliseconds, nanoseconds, rate, short} from './format.js';
import {bars, between, percentile, span} from './histogram.js';
import {History, Rates} from './rates.js';
import {card, facts, head, table} from './parts.js';

const KEEP_S = 300;     // what the charts show
const WINDOW_MS = 60000; // what the histograms show

const RATE_LINES = [{name: 'publish', label: 'Published', colour: '--line-1'}, {name: 'deliver_get', label: 'Delivered', colour: '--line-2'},
                    {name: 'ack', label: 'Acked', colour: '--line-3', dash: [5, 4]}, {name: 'confirm', label: 'Confirmed', colour: '--line-4'}];
const QUEUED_LINES = [{name: 'messages', label: 'In queues', colour: '--line-1'}];

const rates = new Rates();
const rateHistory = new History(RATE_LINES.map(line => line.name), KEEP_S);
const queuedHistory = new History(['messages'], KEEP_S);
const looks = []; // at the latencies: {ms, stages}
let charts = null;
let hasLatency = true; // until the broker says that it has none
let nodeName = '';

async function latency(signal) {
    if (!hasLatency)
        return null;
    try {
        return (await get(path('gannet', 'latency'), {signal})).stages;
    } catch (error) {
        if (!(error instanceof ApiError) || (error.status !== 404 && error.status !== 401))
            throw error;
        hasLatency = false;
        return null;
    }
}

export async function load(args, query, app, signal) {
    const monitors = app.may('monitoring');
    const [overview, nodes, stages] = await Promise.all([get(path('overview'), {signal}),
        monitors ? get(path('nodes'), {signal}) : null, monitors ? latency(signal) : null]);
    const now = performance.now(), s = Date.now() / 1000;
    const speed = rates.update('overview', overview.message_stats, now);
    rateHistory.add(s, speed);
    queuedHistory.add(s, {messages: overview.queue_totals?.messages});
    if (stages) {
        looks.push({ms: now, stages});
        while (looks.length > 2 && looks[1].ms < now - WINDOW_MS)
            looks.shift();
    }
    nodeName = overview.node;
    return {overview, node: nodes?.[0], stages, speed};
}

function tile(label, value, target, title) {
    const inside = [el('span', {class: 'label'}, label), el('span', {class: 'value', title}, value)];
    return target ? el('a', {class: 'tile', href: target}, inside) : el('div', {class: 'tile'}, inside);
}

function tiles({overview, speed}) {
    const totals = overview.object_totals || {};
    return el('div', {class: 'tiles', id: 'tiles'},
        tile('Messages', short(overview.queue_totals?.messages), '#/queues?sort=messages&sort_reverse=true', count(overview.queue_totals?.messages)),
        tile('Published', rate(speed.publish)), tile('Delivered', rate(speed.deliver_get)), tile('Acked', rate(speed.ack)),
        tile('Connections', short(totals.connections), '#/connections'), tile('Channels', short(totals.channels), '#/channels'),
        tile('Queues', short(totals.queues), '#/queues'), tile('Exchanges', short(totals.exchanges), '#/exchanges'), tile('Consumers', short(totals.consumers)));
}

function lines(stats) {
    return RATE_LINES.filter(line => line.name in (stats || {}));
}

function plots({overview, speed}) {
    charts ??= {rates: new Chart('rates', 'Messages a second, of the last five minutes', RATE_LINES, value => rate(value)),
                queued: new Chart('queued', 'Messages in queues, of the last five minutes', QUEUED_LINES, short)};
    return el('div', {class: 'grid two'},
        card('Message rates', legend(lines(overview.message_stats), speed, rate), charts.rates.element()),
        card('Messages in queues', legend(QUEUED_LINES, {messages: overview.queue_totals?.messages}, count), charts.queued.element()));
}

function barsOf(list) {
    const most = Math.max(...list.map(bar => bar.count), 1);
    const width = 100 / Math.max(list.length, 1);
    // A single message is to be seen beside millions.
    const height = bar => bar.count ? Math.max(3, 100 * bar.count / most) : 0;
    return svg('svg', {class: 'bars', viewBox: '0 0 100 100', preserveAspectRatio: 'none', 'aria-hidden': 'true'}, list.map((bar, i) =>
        svg('rect', {x: (i * width + width * 0.06).toFixed(2), width: (width * 0.88).toFixed(2), y: (100 - height(bar)).toFixed(2), height: height(bar).toFixed(2)},
            svg('title', {}, `${nanoseconds(bar.from)} to ${bar.to === null ? 'more' : nanoseconds(bar.to)}: ${count(bar.count)}`))));
}

function stage(now, before) {
    const recent = between(before, now), isIdle = recent.count === 0;
    const seen = isIdle ? now : recent; // better those of yesterday than none
    const at = [['p50', 0.5], ['p99', 0.99], ['p99.9', 0.999]].map(([name, share]) => [name, percentile(seen, share)]);
    const list = span(bars(seen), 12);
    const said = at.map(([name, value]) => `${name} ${nanoseconds(value)}`).join(', ');
    return el('div', {class: 'stage', role: 'group', 'aria-label': `${now.stage}: ${said}`},
        el('div', {class: 'stage-head'}, el('h3', {}, now.stage), el('span', {class: 'dim'}, isIdle && now.count ? `${short(now.count)} since the start` : count(seen.count))),
        list.length ? [barsOf(list), el('div', {class: 'ends'}, el('span', {}, nanoseconds(list[0].from)), el('span', {}, list.at(-1).to === null ? 'more' : nanoseconds(list.at(-1).to)))]
            : el('div', {class: 'bars none'}, 'nothing yet'),
        el('dl', {class: 'percentiles'}, at.map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, nanoseconds(value))))));
}

function latencies({stages}, app) {
    const first = looks[0]?.stages;
    const before = name => looks.length > 1 ? first.find(one => one.stage === name) : null;
    const inside = stages?.length ? el('div', {class: 'stages'}, stages.map(one => stage(one, before(one.stage))))
        : el('p', {class: 'empty'}, app.may('monitoring') ? 'This broker counts no latencies.' : 'Only who may monitor sees them.');
    return card('Latency by stage', el('p', {class: 'hint'}, 'How long messages took to be received, routed, journalled and delivered, of the last minute.'), inside);
}

function listeners({overview}) {
    const columns = [{title: 'Protocol', main: true, cell: row => row.protocol}, {title: 'Address', cell: row => row.ip_address},
                     {title: 'Port', number: true, cell: row => String(row.port)}];
    return card('Listeners', table(columns, overview.listeners || [], row => `${row.protocol} ${row.ip_address} ${row.port}`, 'Nothing listens.'));
}

function churn(overview) {
    const of = overview.churn_rates || {};
    return `${count(of.connection_created)} opened, ${count(of.connection_closed)} closed`;
}

function node({overview, node: one}) {
    return card('Broker', facts([
        ['Name', overview.node], ['Version', `${overview.product_name} ${overview.product_version}`],
        ['Up for', one && milliseconds(one.uptime)], ['Process', one?.os_pid],
        ['Memory', one && `${bytes(one.mem_used)} of ${bytes(one.mem_limit)}`], ['Disk free', one && bytes(one.disk_free)],
        ['Processors', one && count(one.processors)], ['Sockets', one && `${count(one.sockets_used)} of ${count(one.fd_total)} descriptors`],
        ['Connections since start', churn(overview)],
        ['Returned, unroutable', overview.message_stats?.return_unroutable === undefined ? null : count(overview.message_stats.return_unroutable)],
    ]));
}

export function draw(data, args, query, app) {
    return [head('Overview', el('span', {class: 'dim'}, nodeName)), tiles(data), plots(data), latencies(data, app),
            el('div', {class: 'grid two'}, node(data), listeners(data))];
}

// When what draw() made is on the page.
export function drawn() {
    charts?.rates.draw(rateHistory.data);
    charts?.queued.draw(queuedHistory.data);
}

export const title = () => 'Overview';
