// Makes one element like another one and keeps every node that can stay: so focus, what was typed
// or ticked, scrolled places and what is unfolded remain.

export function morph(old, fresh) {
  changeAttributes(old, fresh);
  const left = new Map();
  for (const child of old.children) if (child.id) left.set(child.id, child);
  let place = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    let found = wanted.id ? left.get(wanted.id) : next(place, wanted);
    if (found) {
      if (found === place) place = place.nextSibling;
      else old.insertBefore(found, place);
      if (found.nodeType === Node.ELEMENT_NODE) morph(found, wanted);
      else if (found.data !== wanted.data) found.data = wanted.data;
    } else {
      old.insertBefore(document.importNode(wanted, true), place);
    }
  }
  while (place) {
    const gone = place;
    place = place.nextSibling;
    gone.remove();
  }
}

// The node at this place, if it can become the wanted one.
function next(place, wanted) {
  if (!place || place.nodeType !== wanted.nodeType || place.id) return null;
  return place.nodeName === wanted.nodeName ? place : null;
}

function changeAttributes(old, fresh) {
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !isUsers(old, name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value && !isUsers(old, name)) old.setAttribute(name, value);
  }
}

// Whether something is unfolded is for whoever reads to say.
function isUsers(element, name) {
  return name === "open" && element.nodeName === "DETAILS";
}
