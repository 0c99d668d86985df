// What several pages are put together from.
import {el} from './dom.js';
import {toast} from './dialog.js';

export function href(...words) {
    return '#/' + words.map(encodeURIComponent).join('/');
}

export function link(text, ...words) {
    return el('a', {href: href(...words)}, text);
}

// A button that does something; what goes wrong is said.
export function button(text, act, kind) {
    return el('button', {type: 'button', class: kind, onclick: async () => {
        try {
            await act();
        } catch (error) {
            toast(error.message, true);
        }
    }}, text);
}

export function head(title, ...buttons) {
    return el('div', {class: 'head'}, el('h1', {tabindex: '-1'}, title), el('div', {class: 'buttons'}, buttons));
}

export function card(title, ...children) {
    return el('section', {class: 'card'}, title ? el('h2', {}, title) : null, children);
}

// Names and values: [[name, value], ...]; a value that is null isn't shown.
export function facts(pairs) {
    return el('dl', {class: 'facts'}, pairs.filter(([, value]) => value !== null && value !== undefined && value !== '')
        .map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))));
}

export function tags(list) {
    return list.map(tag => el('span', {class: 'tag'}, tag));
}

// {"x-max-length": 5} as small labels.
export function settings(object) {
    const names = Object.keys(object || {});
    return names.length ? el('span', {class: 'tags'}, names.map(name => el('span', {class: 'tag'}, `${name}: ${textOf(object[name])}`))) : null;
}

export function textOf(value) {
    return typeof value === 'string' ? value : JSON.stringify(value);
}

export function yes(value) {
    return value ? 'yes' : 'no';
}

// columns: [{title, cell(row), number, wide, main, acts}]; wide: left out where there is no room; acts: of buttons. key(row): what it is known by.
export function table(columns, rows, key, empty, heading) {
    const kind = column => [column.number ? 'number' : '', column.wide ? 'wide' : '', column.main ? 'main' : '', column.acts ? 'acts' : ''].filter(Boolean).join(' ') || null;
    if (!rows.length)
        return el('p', {class: 'empty'}, empty);
    return el('div', {class: 'scroll'}, el('table', {},
        el('thead', {}, el('tr', {}, columns.map(column => el('th', {scope: 'col', class: kind(column), ...heading?.(column)?.attributes},
            heading?.(column)?.content ?? column.title)))),
        el('tbody', {}, rows.map(row => el('tr', {'data-key': key(row)}, columns.map(column => el('td', {class: kind(column)}, column.cell(row))))))));
}

export function exchangeName(name) {
    return name === '' ? '(default)' : name;
}
