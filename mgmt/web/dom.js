// Elements, made and brought up to date. Whatever the broker says becomes text: nothing here reads markup.

const SVG = 'http://www.w3.org/2000/svg';

function fill(node, properties, children) {
    for (const [name, value] of Object.entries(properties || {})) {
        if (value === undefined || value === null || value === false)
            continue;
        if (name.startsWith('on'))
            node[name] = value; // a property: it goes with the node when that is brought up to date
        else
            node.setAttribute(name, value === true ? '' : value);
    }
    for (const child of children.flat(Infinity))
        if (child !== undefined && child !== null && child !== false)
            node.append(child instanceof Node ? child : String(child));
    return node;
}

export function el(name, properties, ...children) {
    return fill(document.createElement(name), properties, children);
}

export function svg(name, properties, ...children) {
    return fill(document.createElementNS(SVG, name), properties, children);
}

const EVENTS = ['onclick', 'onsubmit', 'onchange', 'oninput', 'onkeydown'];
// What the person has done to them stays.
const THEIRS = {DETAILS: 'open', DIALOG: 'open', OPTION: 'selected'};

function isSame(old, fresh) {
    return old.nodeType === fresh.nodeType && old.nodeName === fresh.nodeName && (old.nodeType !== 1 || old.dataset.key === fresh.dataset.key);
}

function updateAttributes(old, fresh) {
    for (const {name} of [...old.attributes])
        if (!fresh.hasAttribute(name) && THEIRS[old.nodeName] !== name)
            old.removeAttribute(name);
    for (const {name, value} of fresh.attributes)
        if (old.getAttribute(name) !== value && THEIRS[old.nodeName] !== name)
            old.setAttribute(name, value);
    for (const event of EVENTS)
        if (old[event] !== fresh[event])
            old[event] = fresh[event];
}

function updateNode(old, fresh) {
    if (old.nodeType !== 1) {
        if (old.nodeValue !== fresh.nodeValue)
            old.nodeValue = fresh.nodeValue;
        return;
    }
    updateAttributes(old, fresh);
    if (!fresh.hasAttribute('data-keep')) // what is in it is somebody else's: a chart
        update(old, [...fresh.childNodes]);
}

// Makes what is in a node look like the nodes that are given, keeping what is the same: focus, selection and what is
// scrolled stay where they are.
export function update(parent, fresh) {
    let at = parent.firstChild;
    for (const node of fresh) {
        if (at && isSame(at, node)) {
            updateNode(at, node);
            at = at.nextSibling;
        } else {
            parent.insertBefore(node, at);
        }
    }
    while (at) {
        const next = at.nextSibling;
        at.remove();
        at = next;
    }
}

export function show(parent, ...children) {
    update(parent, [...fill(document.createDocumentFragment(), null, children).childNodes]);
}
