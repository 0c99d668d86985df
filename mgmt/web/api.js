// The calls of mgmtd's HTTP API. Nothing else is ever asked.

const STORED = 'gannet-login';

let login = read(); // {user, secret}; secret: as HTTP's basic authentication has it; null: there is none

// Of this tab only, and gone with it.
function read() {
    try {
        return JSON.parse(sessionStorage.getItem(STORED));
    } catch {
        return null;
    }
}

function base64(text) {
    return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

export function logIn(user, password) {
    login = {user, secret: base64(`${user}:${password}`)};
}

export function keepLogin() {
    sessionStorage.setItem(STORED, JSON.stringify(login));
}

export function logOut() {
    login = null;
    sessionStorage.removeItem(STORED);
}

export function hasLogin() {
    return login !== null;
}

export class ApiError extends Error {
    // status: of HTTP; 0: there was no answer. word: the API's. retryS: of a 429, when it may be asked again.
    constructor(status, word, reason, retryS = 0) {
        super(reason);
        this.status = status;
        this.word = word;
        this.retryS = retryS;
    }
}

// A path of words that may be anything: path('queues', vhost, name).
export function path(...words) {
    return '/api/' + words.map(word => {
        if (word === '.' || word === '..')
            throw new ApiError(0, 'path', `No browser can say the name "${word}" in a path: use gannetctl.`);
        return encodeURIComponent(word);
    }).join('/');
}

export function exchangeWord(name) {
    return name === '' ? 'amq.default' : name;
}

// Whether the page has come through the administrator's socket, where nobody logs in.
export async function needsLogin() {
    const response = await fetch('/', {method: 'HEAD', credentials: 'omit', cache: 'no-store'});
    return response.headers.get('X-Gannet-Login') !== 'none';
}

async function answerOf(response) {
    const text = await response.text();
    try {
        return text ? JSON.parse(text) : null;
    } catch {
        return {error: 'no JSON', reason: `mgmtd's answer is no JSON (status ${response.status})`};
    }
}

// Without its own credentials a browser doesn't ask for a password itself when the answer is 401.
async function send(method, at, headers, body, signal) {
    try {
        return await fetch(at, {method, headers, body, signal, credentials: 'omit', cache: 'no-store'});
    } catch (error) {
        if (error.name === 'AbortError')
            throw error;
        throw new ApiError(0, 'silence', 'gannet-mgmtd doesn’t answer.');
    }
}

// Returns what the answer's JSON says, null if there is none.
export async function call(method, at, {body, query, headers, signal} = {}) {
    const all = {...headers};
    if (login)
        all.Authorization = 'Basic ' + login.secret;
    if (body !== undefined)
        all['Content-Type'] = 'application/json';
    const words = new URLSearchParams(Object.entries(query || {}).filter(([, value]) => value !== undefined && value !== ''));
    const response = await send(method, words.size ? `${at}?${words}` : at, all, body === undefined ? undefined : JSON.stringify(body), signal);
    const answer = await answerOf(response);
    if (!response.ok)
        throw new ApiError(response.status, answer?.error, answer?.reason || `status ${response.status}`,
            Number(response.headers.get('Retry-After')) || 0);
    return answer;
}

export const get = (at, more) => call('GET', at, more);
export const put = (at, body, more) => call('PUT', at, {body, ...more});
export const post = (at, body, more) => call('POST', at, {body, ...more});
export const remove = (at, more) => call('DELETE', at, more);
