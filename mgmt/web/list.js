// Long lists: the API cuts the page, sorts and filters; the address says which page it is.
import {el} from './dom.js';
import {get} from './api.js';
import {count} from './format.js';
import {table} from './parts.js';

export const SIZES = ['25', '100', '500'];

// The address of the same list with something changed; another order or filter begins at its first page.
export function address(base, query, change) {
    const words = new URLSearchParams({...query, ...('page' in change ? {} : {page: ''}), ...change});
    for (const [name, value] of [...words])
        if (value === '' || (name === 'page' && value === '1') || (name === 'page_size' && value === '100'))
            words.delete(name);
    return `#/${base}${words.size ? '?' + words : ''}`;
}

// list: {at: the call's path, columns wanted of the API, more words}. Returns a page of it.
export async function load(list, query, signal) {
    const words = {page: query.page || '1', page_size: query.page_size || '100', name: query.name, use_regex: query.use_regex,
                   sort: query.sort || list.sort, sort_reverse: query.sort ? query.sort_reverse : list.reverse, columns: list.columns, ...list.query};
    try {
        return await get(list.at, {query: words, signal});
    } catch (error) {
        if (error.word !== 'page_out_of_range' || words.page === '1')
            throw error;
        return get(list.at, {query: {...words, page: '1'}, signal});
    }
}

function heading(base, query, list) {
    const by = query.sort || list.sort, reverse = query.sort ? query.sort_reverse === 'true' : list.reverse === 'true';
    return column => {
        if (!column.sort)
            return null;
        const is = by === column.sort;
        // A number is looked for from its largest on.
        const next = is ? String(!reverse) : String(Boolean(column.number));
        return {attributes: {'aria-sort': is ? (reverse ? 'descending' : 'ascending') : null},
                content: el('a', {href: address(base, query, {sort: column.sort, sort_reverse: next === 'true' ? 'true' : ''})}, column.title,
                    el('span', {class: 'order', 'aria-hidden': 'true'}, is ? (reverse ? ' ▾' : ' ▴') : ''))};
    };
}

let typing = 0;

function go(base, query, change) {
    const to = address(base, query, change);
    if (location.hash !== to)
        location.replace(to);
}

function currentQuery() {
    return Object.fromEntries(new URLSearchParams(location.hash.split('?')[1] || ''));
}

function filters(base, query, vhosts, what) {
    const name = el('input', {type: 'search', id: 'filter', placeholder: 'part of a name', autocomplete: 'off', spellcheck: 'false', value: query.name ?? '',
                              oninput: event => {
                                  const value = event.target.value;
                                  clearTimeout(typing);
                                  typing = setTimeout(() => go(base, currentQuery(), {name: value}), 200);
                              }});
    const choice = vhosts && vhosts.length > 1
        ? [el('label', {for: 'vhost'}, 'Virtual host'),
           el('select', {id: 'vhost', onchange: event => go(base, currentQuery(), {vhost: event.target.value})}, el('option', {value: ''}, 'all'),
               vhosts.map(vhost => el('option', {value: vhost, selected: vhost === query.vhost}, vhost)))]
        : null;
    return el('div', {class: 'filters', role: 'search'}, el('label', {for: 'filter'}, `Filter ${what}`), name, choice);
}

function pager(base, query, page) {
    const at = page.page, last = Math.max(page.page_count, 1);
    const step = (text, to, label) => to >= 1 && to <= last && to !== at
        ? el('a', {class: 'button', href: address(base, query, {page: String(to)}), 'aria-label': label}, text)
        : el('span', {class: 'button off', 'aria-hidden': 'true'}, text);
    const all = page.filtered_count === page.total_count ? `${count(page.total_count)} in all` : `${count(page.filtered_count)} of ${count(page.total_count)}`;
    return el('nav', {class: 'pager', 'aria-label': 'Pages'}, el('span', {class: 'total'}, all), el('span', {class: 'grow'}),
        el('label', {for: 'size'}, 'a page'), el('select', {id: 'size', onchange: event => go(base, currentQuery(), {page_size: event.target.value})},
            SIZES.map(size => el('option', {value: size, selected: size === (query.page_size || '100')}, size))),
        step('«', 1, 'First page'), step('‹', at - 1, 'Page before'), el('span', {class: 'page'}, `${count(at)} / ${count(last)}`), step('›', at + 1, 'Next page'),
        step('»', last, 'Last page'));
}

// what: their name, of many. empty: what is said where there are none at all.
export function draw({base, query, list, page, columns, key, what, vhosts, empty}) {
    const none = page.total_count ? `None of the ${count(page.total_count)} ${what} has that in its name.` : empty;
    return el('section', {class: 'card list'}, filters(base, query, vhosts, what), table(columns, page.items, key, none, heading(base, query, list)),
        pager(base, query, page));
}
