// Makes the copy buttons work, and shows them: without JavaScript they stay hidden and the text beside them can be selected.

const SHOWN_FOR_MS = 2000;

function reveal(root) {
  for (const button of root.querySelectorAll("[data-copy][hidden]")) button.hidden = false;
}

async function write(text) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
  // A browser offers its clipboard to pages over https only; many a registry is used over http in a closed network.
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "visually-hidden";
  document.body.append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  if (!copied) throw new Error("The browser refused to copy.");
}

async function copy(button) {
  const source = button.closest(".copy").querySelector("[data-copy-text]");
  const label = button.dataset.label ?? (button.dataset.label = button.textContent);
  try {
    await write(source.dataset.copyText || source.textContent.trim());
    button.textContent = "Copied";
    button.dataset.copied = "";
  } catch {
    button.textContent = "Select and copy";
    window.getSelection().selectAllChildren(source);
  }
  button.focus();
  setTimeout(() => {
    button.textContent = label;
    delete button.dataset.copied;
  }, SHOWN_FOR_MS);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) copy(button);
});
document.addEventListener("htmx:load", (event) => reveal(event.target));
reveal(document);
