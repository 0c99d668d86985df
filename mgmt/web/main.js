// The page: who is logged in, which part of it is shown, and when it is asked for again.
import {el, show} from './dom.js';
import {ApiError, get, hasLogin, logOut, needsLogin, path} from './api.js';
import {alarms} from './alarms.js';
import {channels, connection, connections} from './connections.js';
import * as exchange from './exchange.js';
import * as exchanges from './exchanges.js';
import {askLogin} from './login.js';
import * as overview from './overview.js';
import {head} from './parts.js';
import * as policies from './policies.js';
import * as queue from './queue.js';
import {queues, streams} from './queues.js';
import {user, users} from './users.js';
import {vhost, vhosts} from './vhosts.js';

const EVERY_MS = 1000;
// Of the time no more than this part is spent on waiting for answers: a long list is asked for more seldom.
const SHARE = 0.1;

// The first word of the address, and how many more there are.
const PAGES = {overview: [overview], queues: [queues, null, queue], streams: [streams], connections: [connections, connection], channels: [channels],
               exchanges: [exchanges, null, exchange], users: [users, user], vhosts: [vhosts, vhost], policies: [policies]};
const NAV = [['overview', 'Overview'], ['queues', 'Queues'], ['streams', 'Streams'], ['exchanges', 'Exchanges'], ['connections', 'Connections'], ['channels', 'Channels'],
             ['policies', 'Policies'], ['vhosts', 'Virtual hosts'], ['users', 'Users', 'administrator']];
const ALSO = {administrator: ['monitoring', 'policymaker']};

const main = document.getElementById('main');

const app = {
    who: null, // {name, tags}
    vhosts: ['/'],
    speaksAmqp: true, // whether calls that are done by AMQP, as the user, are there
    may(tag) {
        const own = this.who?.tags || [];
        return own.includes(tag) || own.some(one => ALSO[one]?.includes(tag));
    },
    noAmqp: () => el('span', {class: 'hint'}, 'By the administrator’s socket nobody has logged in, so what clients do (declare, publish, get, delete) isn’t there.'),
    async readVhosts() {
        this.vhosts = (await get(path('vhosts'), {query: {columns: 'name'}})).map(one => one.name);
    },
    refresh: () => again(0),
};

let timer = 0;
let asking = null; // a question under way can be given up
let shown = null;  // {page, name, args, query}

// ---- the address ----

function addressed() {
    const [words, query] = location.hash.slice(2).split('?');
    const [name, ...args] = (words || 'overview').split('/').map(word => {
        try {
            return decodeURIComponent(word);
        } catch {
            return word;
        }
    });
    return {name, args, page: PAGES[name]?.[args.length], query: Object.fromEntries(new URLSearchParams(query || ''))};
}

// ---- around the page ----

function drawFrame() {
    document.body.classList.toggle('in', Boolean(app.who));
    if (!app.who) {
        show(document.getElementById('top'));
        show(document.getElementById('nav'));
        show(document.getElementById('alarms'));
        return;
    }
    show(document.getElementById('top'), el('a', {class: 'brand', href: '#/overview'}, el('img', {src: 'icon.svg', alt: '', width: 24, height: 24}), 'Gannet'),
        el('span', {class: 'grow'}), el('span', {class: 'user'}, app.who.name), hasLogin() ? el('button', {type: 'button', onclick: () => leave('')}, 'Log out') : null);
    show(document.getElementById('nav'), el('ul', {}, NAV.filter(([, , tag]) => !tag || app.may(tag)).map(([name, label]) =>
        el('li', {}, el('a', {href: '#/' + name, 'aria-current': shown?.name === name ? 'page' : null}, label)))));
    document.querySelector('#nav [aria-current]')?.scrollIntoView({block: 'nearest', inline: 'nearest'});
}

function drawAlarms(sentences) {
    show(document.getElementById('alarms'), sentences.map(text => el('p', {}, text)));
}

// ---- asking and drawing ----

function again(ms) {
    clearTimeout(timer);
    timer = setTimeout(tick, ms);
}

function failed(error) {
    if (error.status === 401 && error.word === 'not_authorized') {
        leave('You have been logged out: the password or the user has changed.');
        return;
    }
    if (!(error instanceof ApiError)) {
        console.error(error);
        drawAlarms([error.message]);
    } else if (error.status === 0 || error.status >= 500) {
        drawAlarms([error.message]); // it may come back, and what was seen last stays
    } else {
        const isGone = error.status === 404 && error.message === 'Not Found';
        show(main, head(shown.page.title(shown.args)), el('p', {class: 'empty'}, isGone ? 'The broker has no such thing, or has it no more.' : error.message));
    }
    main.removeAttribute('aria-busy');
    again(EVERY_MS * 2);
}

async function tick() {
    if (document.hidden || !shown || !app.who)
        return;
    asking?.abort();
    const own = asking = new AbortController(), {page, args, query} = shown, from = performance.now();
    try {
        const [data, said] = await Promise.all([page.load(args, query, app, own.signal), alarms(app, own.signal)]);
        if (own.signal.aborted)
            return;
        drawAlarms(said);
        show(main, page.draw(data, args, query, app));
        page.drawn?.();
        main.removeAttribute('aria-busy');
        again(Math.max(EVERY_MS, (performance.now() - from) / SHARE));
    } catch (error) {
        if (!own.signal.aborted)
            failed(error);
    }
}

function navigate() {
    const to = addressed(), isOther = !shown || shown.name !== to.name || shown.args.join('/') !== to.args.join('/');
    asking?.abort();
    shown = to;
    drawFrame();
    if (!to.page) {
        shown = null;
        show(main, head('It isn’t there'), el('p', {class: 'empty'}, 'The page has no such part.'));
        return;
    }
    document.title = `${to.page.title(to.args)} · Gannet`;
    if (isOther) {
        show(main, head(to.page.title(to.args)));
        main.setAttribute('aria-busy', 'true');
        scrollTo(0, 0);
        if (document.activeElement !== document.body)
            main.focus({preventScroll: true});
    }
    again(0);
}

// ---- who is there ----

async function enter(who) {
    app.who = {...who, tags: Array.isArray(who.tags) ? who.tags : String(who.tags).split(',')};
    try {
        await app.readVhosts();
    } catch (error) {
        drawAlarms([error.message]);
    }
    navigate();
}

function leave(why) {
    logOut();
    clearTimeout(timer);
    asking?.abort();
    app.who = shown = null;
    document.querySelectorAll('dialog').forEach(dialog => dialog.close());
    document.title = 'Gannet';
    drawFrame();
    askLogin(main, why, enter);
}

async function begin() {
    try {
        app.speaksAmqp = await needsLogin();
        if (app.speaksAmqp && !hasLogin()) {
            leave('');
            return;
        }
        await enter(await get(path('whoami')));
    } catch (error) {
        if (error.status === 401) {
            leave('You have been logged out.');
            return;
        }
        drawAlarms([error.message]);
        setTimeout(begin, EVERY_MS * 2);
    }
}

addEventListener('hashchange', () => app.who && navigate());
document.addEventListener('visibilitychange', () => {
    if (document.hidden) {
        clearTimeout(timer);
        asking?.abort();
    } else {
        again(0);
    }
});
document.querySelector('.skip').onclick = event => {
    event.preventDefault(); // the address says which page it is
    main.focus();
};
begin();
