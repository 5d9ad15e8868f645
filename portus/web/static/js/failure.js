// Says so when a request of htmx comes to nothing, which htmx itself keeps to the console.

const notice = document.querySelector("#failure");

for (const failure of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(failure, () => {
    notice.hidden = false;
    notice.scrollIntoView({ block: "nearest" });
  });
}

document.addEventListener("htmx:beforeRequest", () => {
  notice.hidden = true;
});
